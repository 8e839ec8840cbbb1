"""Mistake: the workers of a group share one durable with 50 messages in flight, in the belief that a stream
is ordered and so each key is handled in order.

The server hands out in the stream's order, but it does not wait: while one event of a key is being handled,
or waits for its next attempt, the following ones are handed out too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from eventproof.adapters import nats as ours
from eventproof.adapters.claims import Attempts, Claims, Ordering, Redelivery
from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import Rejected, Unsupported
from eventproof.adapters.nats import api, naming
from eventproof.adapters.nats.link import translated
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Broker
from eventproof.conformance.targets.nats import NatsTarget
from eventproof.schemas import structured
from tests.misconfigured.around import Around

PREFIX = "eventproof"
IN_FLIGHT = 50


class SharedDurable(Around):
    claims = Claims(
        loss="never",
        duplicates="permitted",
        ordering=Ordering(scope="key", strictness="settled"),
        ack="confirmed",
        fencing="clock",
        redelivery=Redelivery(nack=True, lease_end=True, consumer_loss=True),
        backoff="session",
        attempts=Attempts(never_low=True),
        replay="earliest",
    )

    def __init__(self, broker: Broker, js: JetStreamContext) -> None:
        self.broker = broker
        self._js = js

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Pulled]:
        if policy.dead_letter is not None:
            raise Unsupported("no dead letters")
        stream = naming.stream(PREFIX, topic)
        config = ConsumerConfig(
            ack_wait=policy.ack_timeout * 1.1 + 0.5,  # outlasts the lease that the consumer knows of
            max_ack_pending=IN_FLIGHT,
            filter_subjects=naming.filters(PREFIX, topic, "*", policy.types),
            deliver_policy="all" if policy.start == "earliest" else "new",
        )
        with translated("subscribe"):
            await self._js.add_consumer(stream, config, durable_name=group)
            pull = await self._js.pull_subscribe_bind(group, stream)
        pulled = Pulled(pull, policy)
        try:
            yield pulled
        finally:
            await pulled.leave()


class Pulled:
    def __init__(self, pull: Any, policy: Policy) -> None:
        self._pull = pull
        self._policy = policy
        self._held: list[tuple[LeasedDelivery, Msg]] = []

    def __aiter__(self) -> Pulled:
        return self

    async def __anext__(self) -> LeasedDelivery:
        while True:
            with suppress(asyncio.TimeoutError):
                (message,) = await self._pull.fetch(1, timeout=1)
                return self._delivery(message)

    def _delivery(self, message: Msg) -> LeasedDelivery:
        found, policy = message.metadata, self._policy
        delivery = LeasedDelivery(
            structured.decode(message.data),
            Settling(message, policy),
            attempt=found.num_delivered,
            ack_timeout=policy.ack_timeout,
            position=str(found.sequence.stream),
        )
        self._held.append((delivery, message))
        return delivery

    async def leave(self) -> None:
        with translated("leaving"):
            await self._pull.unsubscribe()
            for delivery, message in self._held:
                delivery.lose()
                if not message.is_acked:
                    await message.nak()


class Settling:
    def __init__(self, message: Msg, policy: Policy) -> None:
        self._message = message
        self._policy = policy

    async def ack(self) -> None:
        with translated("ack"):
            await self._message.ack_sync()

    async def nack(self, delay: float | None) -> None:
        attempt = self._message.metadata.num_delivered
        with translated("nack"):
            await self._message.nak(self._policy.delay_after(attempt) if delay is None else delay)

    async def reject(self, reason: str) -> None:
        raise Rejected("no-dead-letter")

    async def extend(self) -> None:
        with translated("extend"):
            await self._message.in_progress()


class Target(NatsTarget):
    async def _consumers(self, topic: str, group: str) -> list[api.ConsumerInfo]:
        return [await api.consumer_info(self._link, naming.stream(PREFIX, topic), group)]


target = Target()


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[SharedDurable]:
    client = await nats.connect(url)
    try:
        async with ours.connect(url) as broker:
            yield SharedDurable(broker, client.jetstream())
    finally:
        await client.close()
