"""Mistake: a publish that timed out is sent again under a new message id, in the belief that a time-out means
"not published".

It means that no answer came in time. The id has to be that of the event, made before the first try.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import msgspec
import nats
from nats.errors import TimeoutError as TimedOut
from nats.js import JetStreamContext

from eventproof.adapters import nats as ours
from eventproof.adapters.claims import Deduplication
from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.nats import naming
from eventproof.adapters.nats.link import translated
from eventproof.adapters.port import Broker, Receipt
from eventproof.conformance.targets.nats import NatsTarget
from eventproof.schemas import structured
from eventproof.schemas.event import Event
from tests.misconfigured.around import Around
from tests.misconfigured.slow_link import slow_link

TIMEOUT = 0.1  # seconds; the slow link holds some confirms back for longer
TRIES = 5

target = NatsTarget()


class RetryAfterTimeout(Around):
    def __init__(self, broker: Broker, js: JetStreamContext) -> None:
        super().__init__(broker)
        self.claims = msgspec.structs.replace(
            broker.claims, publish_dedup=Deduplication(), dead_letter="none"
        )
        self._js = js

    async def publish(self, topic: str, event: Event) -> Receipt:
        body = structured.encode(event)
        if len(body) > (self.claims.flow.max_payload or 0):
            raise Rejected("too-large")
        for _ in range(TRIES):
            with translated("publish"), suppress(TimedOut):
                return await self._try(naming.subject("eventproof", topic, event), body)
        raise Indeterminate("no confirm")

    async def _try(self, subject: str, body: bytes) -> Receipt:
        headers = {"Content-Type": structured.CONTENT_TYPE, "Nats-Msg-Id": uuid4().hex}
        stored = await self._js.publish(subject, body, timeout=TIMEOUT, headers=headers)
        return Receipt(str(stored.seq))


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[RetryAfterTimeout]:
    async with slow_link(url) as slow, ours.connect(url) as broker:
        client = await nats.connect(slow)
        try:
            js = client.jetstream()
            await (
                js.account_info()
            )  # opens the inbox: of two first requests the later one may be sent earlier
            yield RetryAfterTimeout(broker, js)
        finally:
            await client.close()
