"""A participant of its own that can be killed and frozen: a process, or in simulated time its likeness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Broker, Delivery, Receipt, Subscription
from eventproof.conformance.driver.process import Process, open_process
from eventproof.schemas.event import Event


class Body(Protocol):
    """What faults befall. All but `ended` take effect before they return."""

    def kill(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...

    async def ended(self) -> None:
        """After a kill: everything that it said before was heard."""
        ...


class Participant(Protocol):
    """A connection and the body that holds it."""

    @property
    def broker(self) -> Broker: ...
    @property
    def body(self) -> Body: ...


Sever = Callable[[Broker], None]
"""Ends a participant's connection without a word, as the end of its process would."""


class Likeness:
    """A participant in this process. A kill severs its connection. While it is frozen it hands out nothing;
    what reached it meanwhile is left to its lease, as by a client that throws away what has become old."""

    def __init__(self, broker: Broker, sever: Sever) -> None:
        self._inner = broker
        self._sever = sever
        self._awake = asyncio.Event()
        self._awake.set()

    @property
    def broker(self) -> Broker:
        return self

    @property
    def body(self) -> Body:
        return self

    @property
    def claims(self) -> Claims:
        return self._inner.claims

    async def publish(self, topic: str, event: Event) -> Receipt:
        return await self._inner.publish(topic, event)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Subscription]:
        async with self._inner.subscribe(topic, group=group, policy=policy) as subscription:
            yield _Gate(subscription, self._awake)

    def kill(self) -> None:
        self._sever(self._inner)

    def freeze(self) -> None:
        self._awake.clear()

    def thaw(self) -> None:
        self._awake.set()

    async def ended(self) -> None:
        """At once: there is no pipe to read."""


class _Gate:
    def __init__(self, subscription: Subscription, awake: asyncio.Event) -> None:
        self._inner = subscription
        self._awake = awake

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Delivery:
        while True:
            delivery = await self._inner.__anext__()
            if self._awake.is_set():
                return delivery
            await self._awake.wait()


@asynccontextmanager
async def likeness(
    connect: Callable[[], AbstractAsyncContextManager[Broker]], sever: Sever
) -> AsyncIterator[Participant]:
    """A participant with a connection of its own, to be severed."""
    async with connect() as broker:
        yield Likeness(broker, sever)


class Embodied(msgspec.Struct, frozen=True):
    """A participant in a process of its own."""

    broker: Broker
    body: Process


@asynccontextmanager
async def embodied(
    command: Sequence[str], address: str, options: Mapping[str, Any]
) -> AsyncIterator[Participant]:
    """A participant served by a driver of its own (spec/driver.md). Raises DriverNotReady."""
    async with open_process(command) as process, process.connect(address, **options) as broker:
        yield Embodied(broker, process)
