"""A connection to NATS JetStream as `eventproof.adapters.port.Broker`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from eventproof.adapters.claims import Claims
from eventproof.adapters.nats import api
from eventproof.adapters.nats.claims import claims
from eventproof.adapters.nats.group import join
from eventproof.adapters.nats.link import Link, open_link
from eventproof.adapters.nats.options import options as parse
from eventproof.adapters.nats.publish import max_event, publish
from eventproof.adapters.nats.session import Session
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Receipt
from eventproof.schemas.event import Event


class JetStreamBroker:
    """One participant. Its topics are made by `eventproof.adapters.nats.provision`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.claims: Claims = claims(max_event(link))

    async def publish(self, topic: str, event: Event) -> Receipt:
        """Raises Rejected (`too-large`, `no-topic`, `invalid`, `forbidden`, `full`, `closed`), and
        Indeterminate."""
        return await publish(self._link, topic, event)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Session]:
        """Raises Rejected (`no-topic`, `conflict`, `invalid`, `forbidden`), Indeterminate."""
        joined = await self._link.within_deadline("subscribe", join(self._link, topic, group, policy))
        session = Session(self._link, joined)
        try:
            await session.open()
            yield session
        finally:
            await session.close()


@asynccontextmanager
async def connect(url: str = "nats://127.0.0.1:4222", **options: Any) -> AsyncIterator[JetStreamBroker]:
    """Open one participant's connection; `Options` has the options.

    Raises InvalidOption, and Unreachable when no server with JetStream answers, or one refuses us.
    """
    async with open_link(url, parse(options)) as link:
        await api.check_jetstream(link)
        yield JetStreamBroker(link)
