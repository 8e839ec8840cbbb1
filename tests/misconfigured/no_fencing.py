"""Mistake: leases are left to the server, in the belief that it refuses an ack that comes after one.

It takes an ack from whoever sends it. A consumer that stood still while its event was handed out again
settles it, and the one that has the event now works for nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from eventproof.adapters import nats
from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import LeaseExpired
from eventproof.adapters.nats.link import Link, open_link
from eventproof.adapters.nats.options import Options
from eventproof.adapters.nats.settle import ACK
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Broker, Delivery
from eventproof.conformance.targets.nats import NatsTarget
from tests.misconfigured.around import Around

FOREVER = 3600.0  # seconds

target = NatsTarget()


class NoFencing(Around):
    def __init__(self, broker: Broker, link: Link) -> None:
        super().__init__(broker)
        self._link = link

    async def handed(self, delivery: Delivery, policy: Policy) -> Delivery:
        return LeasedDelivery(
            delivery.event,
            Unfenced(delivery, self._link),
            attempt=delivery.attempt,
            ack_timeout=FOREVER,
            position=delivery.position,
            partition=delivery.partition,
        )


class Unfenced:
    """A message that is acked however late it is."""

    def __init__(self, delivery: Any, link: Link) -> None:
        self._delivery = delivery
        self._link = link

    async def ack(self) -> None:
        try:
            await self._delivery.ack()
        except LeaseExpired:
            await self._link.request(self._delivery.hand_out.prefetched.message.reply, ACK)

    async def nack(self, delay: float | None) -> None:
        await self._delivery.nack(delay=delay)

    async def reject(self, reason: str) -> None:
        await self._delivery.reject(reason)

    async def extend(self) -> None:
        await self._delivery.extend()


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[NoFencing]:
    async with nats.connect(url, **options) as broker, open_link(url, Options()) as link:
        yield NoFencing(broker, link)
