"""A connection to Apache Kafka as `eventproof.adapters.port.Broker`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from eventproof.adapters.claims import Claims
from eventproof.adapters.errors import Indeterminate, Unreachable
from eventproof.adapters.kafka.claims import claims
from eventproof.adapters.kafka.errors import CLOSED
from eventproof.adapters.kafka.group import join
from eventproof.adapters.kafka.link import Link, open_link
from eventproof.adapters.kafka.options import options as parse
from eventproof.adapters.kafka.producer import Producer
from eventproof.adapters.kafka.publish import largest_batch, max_event, publish
from eventproof.adapters.kafka.session import Session
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Receipt
from eventproof.schemas.event import Event


class KafkaBroker:
    """One participant. Its topics are made by `eventproof.adapters.kafka.provision`.

    largest: bytes of the largest batch of records that the broker takes.
    """

    def __init__(self, link: Link, largest: int) -> None:
        self._link = link
        self._producer = Producer(link, largest)
        self._largest = largest
        self._sessions: set[Session] = set()
        self._limit = max_event(largest)
        self.claims: Claims = claims(self._limit, link.options.window)

    async def publish(self, topic: str, event: Event) -> Receipt:
        """Raises Rejected (`too-large`, `no-topic`, `invalid`, `forbidden`, `closed`), Indeterminate."""
        return await publish(self._producer, topic, event, self._limit)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Session]:
        """Raises Rejected (`no-topic`, `conflict`, `invalid`, `forbidden`), Indeterminate."""
        start = asyncio.get_running_loop().time()
        joined, begun = await join(self._link, topic, group, policy)
        session = Session(self._link, joined, self._largest)
        self._sessions.add(session)
        try:
            await self._link.within_deadline("subscribe", session.open(begun=begun), since=start)
            yield session
        finally:
            self._sessions.discard(session)
            await session.close()

    async def close(self) -> None:
        """Wait for the publishes under way, at most until their deadline."""
        for session in self._sessions:
            session.end(CLOSED)
        await self._producer.close()


@asynccontextmanager
async def connect(url: str = "kafka://127.0.0.1:9092", **options: Any) -> AsyncIterator[KafkaBroker]:
    """Open one participant's connection; `Options` has the options.

    Raises InvalidOption, and Unreachable when no broker answers.
    """
    async with open_link(url, parse(options)) as link:
        try:
            broker = KafkaBroker(link, await largest_batch(link))
        except Indeterminate as unknown:
            raise Unreachable(str(unknown)) from unknown
        try:
            yield broker
        finally:
            await broker.close()
