"""Our Kafka adapter beside bare aiokafka, publishing: `python -m benchmarks.kafka.publish [--rounds N]`.

Both run in turn in each round, on one broker that this starts, in one process and event loop each at a time.
aiokafka is given records that are encoded before; its two pipelined cases are one task for each record, which
is how a service calls it, and one loop that only sends, which is the fastest it can.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Final
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaProducer

from eventproof.adapters.kafka import KafkaBroker, connect, provision, remove
from eventproof.adapters.kafka.content import Content, as_structured
from eventproof.adapters.kafka.options import servers
from eventproof.conformance.targets.kafkaserver import KafkaServer
from eventproof.schemas import structured
from eventproof.schemas.event import Event

SIZE: Final = 256  # bytes of an encoded event
KEYS: Final = 1000
PARTITIONS: Final = 8
TOPIC: Final = "bench"

Ours = Callable[[KafkaBroker, Sequence[Event]], Awaitable[None]]
Bare = Callable[[AIOKafkaProducer, str, Sequence[Content]], Awaitable[None]]


class Case(msgspec.Struct, frozen=True):
    """One row of the table. bar: what our rate has to be of aiokafka's; None where it is only told."""

    name: str
    bar: float | None
    ours: Ours
    bare: Bare


def events(count: int) -> list[Event]:
    """New events of SIZE bytes each; their keys go round, so that partitions fill evenly."""
    return [_event(f"k{number % KEYS:03}") for number in range(count)]


def _event(key: str) -> Event:
    made = _made(key, str(uuid4()), "")
    return _made(key, made.id, "x" * (SIZE - len(structured.encode(made))))


def _made(key: str, name: str, text: str) -> Event:
    extensions = {"partitionkey": key}
    return Event(source="/bench", type="org.eventproof.bench", id=name, data=text, extensions=extensions)


async def one_by_one(broker: KafkaBroker, sent: Sequence[Event]) -> None:
    for event in sent:
        await broker.publish(TOPIC, event)


async def at_once(broker: KafkaBroker, sent: Sequence[Event]) -> None:
    await asyncio.gather(*(broker.publish(TOPIC, event) for event in sent))


async def bare_one_by_one(producer: AIOKafkaProducer, topic: str, sent: Sequence[Content]) -> None:
    for record in sent:
        await producer.send_and_wait(topic, record.value, key=record.key, headers=record.headers)


async def bare_at_once(producer: AIOKafkaProducer, topic: str, sent: Sequence[Content]) -> None:
    await asyncio.gather(
        *(producer.send_and_wait(topic, one.value, key=one.key, headers=one.headers) for one in sent)
    )


async def bare_loop(producer: AIOKafkaProducer, topic: str, sent: Sequence[Content]) -> None:
    on_their_way = [await producer.send(topic, one.value, key=one.key, headers=one.headers) for one in sent]
    await asyncio.gather(*on_their_way)


CASES: Final = (
    Case("sequential", 0.9, one_by_one, bare_one_by_one),
    Case("pipelined", 0.7, at_once, bare_at_once),
    Case("pipelined, aiokafka without tasks", None, at_once, bare_loop),
)


@asynccontextmanager
async def fresh_topic(url: str) -> AsyncIterator[str]:
    """The topic's name at the broker."""
    topic = await provision(url, TOPIC, partitions=PARTITIONS)
    try:
        yield topic.stored_as
    finally:
        await remove(url, TOPIC)


async def rate_of_ours(url: str, case: Case, sent: Sequence[Event]) -> float:
    async with fresh_topic(url), connect(url, deadline=60.0) as broker:
        return await _rate(len(sent), case.ours(broker, sent))


async def rate_of_bare(url: str, case: Case, sent: Sequence[Event]) -> float:
    records = [as_structured(event) for event in sent]
    producer = AIOKafkaProducer(bootstrap_servers=servers(url), enable_idempotence=True)
    async with fresh_topic(url) as topic, producer:
        return await _rate(len(records), case.bare(producer, topic, records))


async def _rate(count: int, act: Awaitable[None]) -> float:
    gc.collect()
    start = time.perf_counter()
    await act
    return count / (time.perf_counter() - start)


async def measure(rounds: int, count: int) -> None:
    """Print a row for each case: medians, after a round that warms up."""
    server = KafkaServer()
    try:
        await server.start()
        for case in CASES:
            found: list[tuple[float, float]] = []
            for _ in range(rounds + 1):
                sent = events(count)
                found.append(
                    (await rate_of_ours(server.url, case, sent), await rate_of_bare(server.url, case, sent))
                )
            _show(case, found[1:])
    finally:
        await server.remove()


def _show(case: Case, found: Sequence[tuple[float, float]]) -> None:
    ratio = median(ours / bare for ours, bare in found)
    bar = "" if case.bar is None else f" (bar {case.bar:g}, {'met' if ratio >= case.bar else 'not met'})"
    ours, bare = (median(column) for column in zip(*found, strict=True))
    print(f"{case.name:35} ours {ours:8,.0f}/s   aiokafka {bare:8,.0f}/s   {ratio:.2f}{bar}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kafka.publish", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of which the median is taken")
    parser.add_argument("--events", type=int, default=3000, help=f"events of {SIZE} bytes in each case")
    given = parser.parse_args()
    asyncio.run(measure(given.rounds, given.events))
