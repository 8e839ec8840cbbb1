"""The port: a datum (`claims`) and two verbs (`publish`, `subscribe`).

This is all that a service sees of a broker and all that an adapter author implements. Every call has
a deadline; its three outcomes are in `eventproof.adapters.errors`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.adapters.policy import Policy
from eventproof.schemas.event import Event

DEFAULT_POLICY = Policy()


class Receipt(msgspec.Struct, frozen=True):
    """What the broker told of a confirmed publish; None where it does not tell.

    position: the broker's own opaque name for the stored copy, unique in topic and partition.
    duplicate: True when the broker recognised (source, id) and stored nothing new.
    """

    position: str | None = None
    partition: int | None = None
    duplicate: bool | None = None


class Delivery(Protocol):
    """One attempt to hand one event to one consumer, under a lease of `Policy.ack_timeout`.

    It settles once: the same verb again does nothing; another verb raises `AlreadySettled`, a
    verb after the lease ran out raises `LeaseExpired`. A cancelled settle is indeterminate; the same
    verb may be tried again.

    As a context manager it acks on success; on an exception it nacks, logs and goes on; on
    cancellation it leaves the delivery unsettled and lets the cancellation pass.
    """

    @property
    def event(self) -> Event: ...
    @property
    def attempt(self) -> int:
        """1 for the first hand-out to the group."""
        ...

    @property
    def position(self) -> str | None: ...
    @property
    def partition(self) -> int | None: ...
    @property
    def lost(self) -> Awaitable[None]:
        """Done when the lease is lost: by the clock, or because the broker took the event back."""
        ...

    async def ack(self) -> None:
        """The event is done with, for this group."""
        ...

    async def nack(self, *, delay: float | None = None) -> None:
        """Redeliver after `delay` seconds (None: the policy's back-off), or dead-letter the last attempt."""
        ...

    async def reject(self, reason: str) -> None:
        """Dead-letter now, whatever the attempt. Raises `Rejected` under a policy without dead letter."""
        ...

    async def extend(self) -> None:
        """Renew the lease by `Policy.ack_timeout` from now."""
        ...

    async def __aenter__(self) -> Event: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool: ...


class Subscription(Protocol):
    """An endless iterator of deliveries; a cancelled `__anext__` loses nothing.

    `__anext__` raises `SessionLost` when the broker ended the session.
    """

    def __aiter__(self) -> Subscription: ...
    async def __anext__(self) -> Delivery: ...


class Broker(Protocol):
    """One participant's connection to a broker."""

    @property
    def claims(self) -> Claims:
        """What this adapter, so configured, promises. Every claim is tested."""
        ...

    async def publish(self, topic: str, event: Event) -> Receipt:
        """Store the event durably in the topic; returns once the broker confirmed it."""
        ...

    def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join `group` on `topic`.

        Entering returns once the group's start is durable on every partition. Members of a group share
        its events; each group gets all of them; groups outlive sessions. Leaving returns what is
        unsettled. Raises `Rejected` (kind `conflict`) if the group exists with another policy,
        `Unsupported` if the adapter cannot keep the policy.
        """
        ...
