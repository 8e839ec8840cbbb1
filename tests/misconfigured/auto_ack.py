"""Mistake: a message is acked as it arrives and handled afterwards, in the belief that JetStream redelivers
what was not handled.

It redelivers what was not acked. An event whose handler fails, or whose consumer goes away, is gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from eventproof.adapters import nats
from eventproof.adapters.claims import Claims, Redelivery
from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Delivery
from eventproof.conformance.targets.nats import NatsTarget
from tests.misconfigured.around import Around

target = NatsTarget()


class AutoAck(Around):
    claims = Claims(
        loss="never",
        duplicates="permitted",
        replay="earliest",
        redelivery=Redelivery(nack=True, lease_end=True, consumer_loss=True),
    )

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    async def handed(self, delivery: Delivery, policy: Policy) -> Delivery:
        await delivery.ack()
        return LeasedDelivery(
            delivery.event,
            Done(),
            attempt=delivery.attempt,
            ack_timeout=policy.ack_timeout,
            position=delivery.position,
            partition=delivery.partition,
        )


class Done:
    """The message is settled: whatever the handler says of it later reaches nobody."""

    async def ack(self) -> None: ...
    async def nack(self, delay: float | None) -> None: ...
    async def reject(self, reason: str) -> None: ...
    async def extend(self) -> None: ...


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[AutoAck]:
    async with nats.connect(url, **options) as broker:
        yield AutoAck(broker)
