"""Mistake: events are published without a `Nats-Msg-Id`, in the belief that the server recognises a repeated
event by the id that it carries.

A stream with a deduplication window compares that one header and looks at nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from nats.js import JetStreamContext

from eventproof.adapters import nats as ours
from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import naming
from eventproof.adapters.nats.link import translated
from eventproof.adapters.port import Broker, Receipt
from eventproof.conformance.targets.nats import NatsTarget
from eventproof.schemas import structured
from eventproof.schemas.event import Event
from tests.misconfigured.around import Around

target = NatsTarget()


class NoMessageId(Around):
    def __init__(self, broker: Broker, js: JetStreamContext) -> None:
        super().__init__(broker)
        self._js = js

    async def publish(self, topic: str, event: Event) -> Receipt:
        body = structured.encode(event)
        if len(body) > (self.claims.flow.max_payload or 0):
            raise Rejected("too-large")
        headers = {"Content-Type": structured.CONTENT_TYPE}
        with translated("publish"):
            stored = await self._js.publish(naming.subject("eventproof", topic, event), body, headers=headers)
        return Receipt(str(stored.seq), None, bool(stored.duplicate))


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[NoMessageId]:
    client = await nats.connect(url)
    try:
        js = client.jetstream()
        await js.account_info()  # opens the inbox: of two first requests the later one may be sent earlier
        async with ours.connect(url) as broker:
            yield NoMessageId(broker, js)
    finally:
        await client.close()
