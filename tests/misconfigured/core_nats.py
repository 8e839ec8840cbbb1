"""Mistake: core NATS, in the belief that a flushed publish reaches every group at least once.

`flush` says that the server has the message, not that anybody gets it: core NATS hands it to whoever is
subscribed at that moment, and keeps nothing for a consumer that is away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import nats
from nats.aio.client import Client
from nats.aio.subscription import Subscription as Interest
from nats.errors import MaxPayloadError

from eventproof.adapters.claims import Claims, Redelivery
from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import Rejected, Unsupported
from eventproof.adapters.nats import naming
from eventproof.adapters.nats.link import translated
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Receipt
from eventproof.conformance.targets.nats import NatsTarget
from eventproof.schemas import structured
from eventproof.schemas.event import Event

PREFIX = "core"
target = SimpleNamespace(start=NatsTarget().start, tick=0.15)


class CoreNats:
    claims = Claims(
        loss="never", duplicates="permitted", replay="earliest", redelivery=Redelivery(within=1.0)
    )

    def __init__(self, client: Client) -> None:
        self._client = client

    async def publish(self, topic: str, event: Event) -> Receipt:
        try:
            await self._client.publish(naming.subject(PREFIX, topic, event), structured.encode(event))
        except MaxPayloadError as error:
            raise Rejected("too-large") from error
        with translated("publish"):
            await self._client.flush()
        return Receipt()

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Messages]:
        if policy.dead_letter is not None:
            raise Unsupported("core NATS has no dead letters")
        interest = await self._client.subscribe(f"{naming.root(PREFIX, topic)}.>", queue=group)
        with translated("subscribe"):
            await self._client.flush()
        try:
            yield Messages(interest, policy)
        finally:
            await interest.unsubscribe()


class Messages:
    def __init__(self, interest: Interest, policy: Policy) -> None:
        self._interest = interest
        self._policy = policy

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> LeasedDelivery:
        while not self._policy.wants((event := await self._event()).type):
            pass
        return LeasedDelivery(event, Nothing(), attempt=1, ack_timeout=self._policy.ack_timeout)

    async def _event(self) -> Event:
        return structured.decode((await self._interest.next_msg(timeout=None)).data)


class Nothing:
    """Core NATS has nothing to settle."""

    async def ack(self) -> None: ...
    async def nack(self, delay: float | None) -> None: ...
    async def reject(self, reason: str) -> None: ...
    async def extend(self) -> None: ...


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[CoreNats]:
    client = await nats.connect(url)
    try:
        yield CoreNats(client)
    finally:
        await client.close()
