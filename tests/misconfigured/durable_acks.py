"""Mistake: none in the adapter but one in what is said of it, in the belief that an ack that a server has
confirmed outlives its kill, as an event does.

One server writes its events before it confirms them, and its acks a little later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from eventproof.adapters import nats
from eventproof.adapters.nats.claims import BROKER_KILL
from eventproof.adapters.port import Broker
from eventproof.conformance.targets.nats import NatsTarget
from tests.misconfigured.around import Around

target = NatsTarget()


class DurableAcks(Around):
    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        survives = replace(broker.claims.survives, acks=BROKER_KILL)
        self.claims = replace(broker.claims, survives=survives)


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[DurableAcks]:
    async with nats.connect(url, **options) as broker:
        yield DurableAcks(broker)
