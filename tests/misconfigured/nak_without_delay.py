"""Mistake: a failed event is sent back with a plain nak, in the belief that the back-off then applies.

A nak without a delay is redelivered at once, whatever `backoff` the consumer is configured with: that one
spaces the attempts after a lease that ran out, and no others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from eventproof.adapters import nats
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Delivery
from eventproof.conformance.targets.nats import NatsTarget
from tests.misconfigured.around import Around

target = NatsTarget()
target.tick = 0.5  # twice as long as usual: what is asked for differs from what comes by a second or more


class NakWithoutDelay(Around):
    async def handed(self, delivery: Delivery, policy: Policy) -> Delivery:
        return PlainNak(delivery)


class PlainNak:
    """A delivery whose nack drops the delay."""

    def __init__(self, delivery: Any) -> None:
        self._delivery = delivery

    def __getattr__(self, name: str) -> Any:
        return getattr(self._delivery, name)

    async def nack(self, *, delay: float | None = None) -> None:
        await self._delivery.nack(delay=0)


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[NakWithoutDelay]:
    async with nats.connect(url, **options) as broker:
        yield NakWithoutDelay(broker)
