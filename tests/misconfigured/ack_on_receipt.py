"""Mistake: a consumer fetches ahead and acks what it has fetched, in the belief that what a consumer has not
handled comes back when it is killed.

What was acked is settled for the server. The buffer dies with the process, and with it what was being
handled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from eventproof.adapters import nats
from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Broker, Delivery, Subscription
from eventproof.conformance.targets.nats import NatsTarget
from tests.misconfigured.around import Around
from tests.misconfigured.auto_ack import Done

AHEAD = 16  # events

target = NatsTarget()


class AckOnReceipt(Around):
    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.claims = replace(broker.claims, dead_letter="none", expiry=False)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Buffered]:
        async with self.broker.subscribe(topic, group=group, policy=policy) as inner:
            buffered = Buffered(inner, policy)
            try:
                yield buffered
            finally:
                await buffered.stop()


class Buffered:
    """A subscription that is ahead of whoever iterates over it."""

    def __init__(self, inner: Subscription, policy: Policy) -> None:
        self._inner = inner
        self._policy = policy
        self._buffer: deque[Delivery] = deque()
        self._room = asyncio.Semaphore(AHEAD)
        self._change = asyncio.Event()
        self._fetching = asyncio.ensure_future(self._fetch())
        self._fetching.add_done_callback(lambda _: self._change.set())

    def __aiter__(self) -> Buffered:
        return self

    async def __anext__(self) -> LeasedDelivery:
        while not self._buffer:
            if self._fetching.done():
                self._fetching.result()
            self._change.clear()
            await self._change.wait()
        self._room.release()
        return self._handed(self._buffer.popleft())

    async def _fetch(self) -> None:
        while True:
            await self._room.acquire()
            delivery = await self._inner.__anext__()
            await delivery.ack()
            self._buffer.append(delivery)
            self._change.set()

    async def stop(self) -> None:
        self._fetching.cancel()
        await asyncio.gather(self._fetching, return_exceptions=True)

    def _handed(self, delivery: Delivery) -> LeasedDelivery:
        return LeasedDelivery(
            delivery.event,
            Done(),
            attempt=delivery.attempt,
            ack_timeout=self._policy.ack_timeout,
            position=delivery.position,
            partition=delivery.partition,
        )


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[AckOnReceipt]:
    async with nats.connect(url, **options) as broker:
        yield AckOnReceipt(broker)
