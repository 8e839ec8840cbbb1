"""One real broker for all tests of the adapter, and one that comes to harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from eventproof.adapters.kafka import connect, naming, provision
from eventproof.adapters.kafka.broker import KafkaBroker
from eventproof.adapters.kafka.link import open_link
from eventproof.adapters.kafka.options import Options, servers
from eventproof.adapters.kafka.session import Session
from eventproof.adapters.kafka.settle import KafkaDelivery
from eventproof.conformance.targets.kafkaserver import KafkaServer
from eventproof.schemas.event import Event

PREFIX = Options().prefix
WITHIN = 5.0
_numbers = count(1)


class Kafka:
    """What the tests do with the broker."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.servers = servers(url)

    async def topic(self, name: str = "", *, partitions: int = 1, **more: object) -> str:
        name = name or f"topic {next(_numbers)}"
        await provision(self.url, name, partitions=partitions, **more)
        return name

    @asynccontextmanager
    async def broker(self, **options: object) -> AsyncIterator[KafkaBroker]:
        async with connect(self.url, **options) as broker:
            yield broker

    def event(self, number: int | None = 0, key: str | None = None, **more: object) -> Event:
        extensions = {"partitionkey": key} if key is not None else {}
        extensions |= more.pop("extensions", {})
        name = None if number is None else str(number)
        given = {"source": "/tests", "type": "shop.order.created", "id": name, "data": number} | more
        return Event(**given, extensions=extensions)

    async def next(self, session: Session, within: float = WITHIN) -> KafkaDelivery:
        return await asyncio.wait_for(session.__anext__(), within)

    async def take(self, session: Session, number: int) -> list[Event]:
        """Receive and ack so many events."""
        events = []
        for _ in range(number):
            delivery = await self.next(session)
            await delivery.ack()
            events.append(delivery.event)
        return events

    async def nothing(self, session: Session, during: float = 0.3) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(session.__anext__(), during)

    async def records(self, topic: str, partition: int = 0) -> list[ConsumerRecord]:
        """What the broker has stored in a partition of a topic."""
        place = TopicPartition(naming.topic(PREFIX, topic), partition)
        async with open_link(self.url, Options()) as link:
            consumer = link.consumer(None, auto_offset_reset="earliest")
            await consumer.start()
            try:
                consumer.assign([place])
                end = (await consumer.end_offsets([place]))[place]
                found: list[ConsumerRecord] = []
                while await consumer.position(place) < end:
                    found += (await consumer.getmany(place, timeout_ms=200)).get(place, [])
                return found
            finally:
                await consumer.stop()

    @asynccontextmanager
    async def raw(self, **options: object) -> AsyncIterator[AIOKafkaProducer]:
        """A producer of somebody else's."""
        producer = AIOKafkaProducer(bootstrap_servers=self.servers, **options)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()


def _running(server: KafkaServer) -> Iterator[KafkaServer]:
    try:
        asyncio.run(server.start())
        yield server
    finally:
        asyncio.run(server.remove())


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    yield from _running(KafkaServer())


@pytest.fixture
def kafka(kafka_server: KafkaServer) -> Kafka:
    return Kafka(kafka_server.url)


@pytest.fixture(scope="session")
def mortal_server() -> Iterator[KafkaServer]:
    yield from _running(KafkaServer())


@pytest.fixture
def mortal(mortal_server: KafkaServer) -> Iterator[KafkaServer]:
    """A broker that may be killed, frozen and stopped: afterwards it is itself again."""
    yield mortal_server
    asyncio.run(mortal_server.revive())
