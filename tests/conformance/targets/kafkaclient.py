"""What the tests of a Kafka server ask of it, through aiokafka."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

TOPIC = "t"


def address(url: str) -> str:
    """What aiokafka calls bootstrap servers."""
    return url.removeprefix("kafka://")


@asynccontextmanager
async def administering(url: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address(url))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def create(url: str, *, copies: int = 1) -> None:
    """The topic, with one partition."""
    async with administering(url) as admin:
        await admin.create_topics([NewTopic(TOPIC, 1, copies)])


@asynccontextmanager
async def producing(url: str, **options) -> AsyncIterator[AIOKafkaProducer]:
    options = {"acks": "all", "enable_idempotence": True} | options
    producer = AIOKafkaProducer(bootstrap_servers=address(url), **options)
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


async def publish(url: str, *values: bytes) -> None:
    async with producing(url) as producer:
        for value in values:
            await producer.send_and_wait(TOPIC, value)


async def stored(url: str) -> list[bytes]:
    """All values, from the log."""
    consumer = AIOKafkaConsumer(bootstrap_servers=address(url))
    await consumer.start()
    try:
        partition = TopicPartition(TOPIC, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        last = (await consumer.end_offsets([partition]))[partition]
        found: list[bytes] = []
        while len(found) < last:
            records = await consumer.getmany(partition, timeout_ms=100)
            found.extend(record.value for record in records.get(partition, []))
        return found
    finally:
        await consumer.stop()
