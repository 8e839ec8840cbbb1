"""The cases, each run by every side on fresh topics of one server. Only the work itself is timed."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from benchmarks.nats import adapter, bare, framework
from benchmarks.nats.workload import PREFIX, Message, Meter, messages
from eventproof.adapters.nats import api, naming
from eventproof.adapters.nats.group import join
from eventproof.adapters.nats.link import Link
from eventproof.adapters.nats.provision import Topic, create, delete
from eventproof.adapters.policy import Policy

SIDES: Final = ("ours", "bare", "framework")
BATCH: Final = 2000  # events published at once while a topic is filled
TIMEOUT: Final = 120.0
TOPIC: Final = "bench"


class Arena(msgspec.Struct, frozen=True):
    """The server, a connection to prepare and inspect topics with, and how many events a case has."""

    url: str
    link: Link
    events: int


class Case(msgspec.Struct, frozen=True):
    """One row of the table. bar, framework_bar: what our rate has to be of nats-py's and of FastStream's."""

    name: str
    bar: float
    framework_bar: float
    run: Callable[[Arena, Sequence[str]], Awaitable[dict[str, float]]]


async def play(arena: Arena, case: Case, number: int) -> dict[str, float]:
    """Events per second of each side in one round; who begins changes from round to round."""
    turn = number % len(SIDES)
    return await case.run(arena, (*SIDES[turn:], *SIDES[:turn]))


async def _publish(pipelined: bool, arena: Arena, order: Sequence[str]) -> dict[str, float]:
    rates = {}
    for side in order:
        topic = await create(arena.link, TOPIC, partitions=8)
        sent = messages(TOPIC, arena.events)
        gc.collect()
        rates[side] = len(sent) / await asyncio.wait_for(_send(side, pipelined, arena, topic, sent), TIMEOUT)
        stored = (await api.stream_info(arena.link, topic.stream)).state.messages
        assert stored == len(sent), f"{side}: {stored} of {len(sent)} events are stored"
        await delete(arena.link, TOPIC)
    return rates


async def _send(side: str, pipelined: bool, arena: Arena, topic: Topic, sent: Sequence[Message]) -> float:
    """Seconds until all are confirmed."""
    if side == "ours":
        async with adapter.connect(arena.url) as broker:
            publish = adapter.pipelined if pipelined else adapter.sequential
            return await _seconds(publish(broker, topic.name, sent))
    if side == "framework":
        async with framework.connect(arena.url) as app:
            dispatch = framework.pipelined if pipelined else framework.sequential
            return await _seconds(dispatch(app, topic.stream, sent))
    async with bare.connect(arena.url) as js:
        send = bare.pipelined if pipelined else bare.sequential
        return await _seconds(send(js, sent))


async def _seconds(act: Awaitable[None]) -> float:
    start = time.perf_counter()
    await act
    return time.perf_counter() - start


async def _consume(lanes: int, ordered: bool, arena: Arena, order: Sequence[str]) -> dict[str, float]:
    """ordered: the others keep the order of a key as we do; else they take batches from one consumer."""
    topic = await create(arena.link, TOPIC, partitions=lanes)
    await _fill(arena)
    rates = {}
    for side in order:
        names = await _group(arena.link, topic, side, lanes, lane_each=ordered or side == "ours")
        meter = Meter(arena.events)
        gc.collect()
        await asyncio.wait_for(_receive(side, ordered, arena, topic, names, lanes, meter), TIMEOUT)
        await _check_settled(arena.link, topic, side, names)
        rates[side] = meter.rate
    await delete(arena.link, TOPIC)
    return rates


async def _receive(
    side: str, ordered: bool, arena: Arena, topic: Topic, names: Sequence[str], width: int, meter: Meter
) -> None:
    if side == "ours":
        async with adapter.connect(arena.url) as broker:
            await adapter.consume(broker, topic.name, side, width, meter)
    elif side == "framework":
        subject = f"{naming.root(PREFIX, topic.name)}.>"
        async with framework.connect(arena.url) as app:
            await framework.consume(app, topic.stream, names, subject, 1 if ordered else width, meter)
    else:
        async with bare.connect(arena.url) as js:
            if ordered:
                await bare.strict(js, topic.stream, names, meter)
            else:
                await bare.parallel(js, topic.stream, names[0], width, meter)


async def _fill(arena: Arena) -> None:
    sent = messages(TOPIC, arena.events)
    async with bare.connect(arena.url) as js:
        for start in range(0, len(sent), BATCH):
            await bare.pipelined(js, sent[start : start + BATCH])


async def _group(link: Link, topic: Topic, side: str, lanes: int, *, lane_each: bool) -> list[str]:
    """The side's consumers: one for each partition with one event in flight, or one with `lanes` of them."""
    policy = Policy(max_in_flight=lanes)
    if lane_each:
        group = await join(link, topic.name, side, policy)
        return [group.durable(partition) for partition in range(lanes)]
    config = {"durable_name": side, "ack_policy": "explicit", "max_ack_pending": lanes}
    body = {"stream_name": topic.stream, "config": config}
    await api.call(link, f"CONSUMER.CREATE.{topic.stream}.{side}", api.ConsumerInfo, body)
    return [side]


async def _check_settled(link: Link, topic: Topic, side: str, names: Sequence[str]) -> None:
    infos = await api.all_consumers(link, topic.stream, list(names))
    left = sum(info.num_pending + info.num_ack_pending for info in infos)
    assert left == 0, f"{side}: {left} events are not settled at the server"


CASES: Final = (
    Case("publish, sequential", 0.9, 1.0, partial(_publish, False)),
    Case("publish, pipelined", 0.75, 1.0, partial(_publish, True)),
    Case("consume in order, 1 lane", 0.85, 1.3, partial(_consume, 1, True)),
    Case("consume in order, 16 lanes", 0.65, 1.3, partial(_consume, 16, True)),
    Case("consume in order, 64 lanes", 0.7, 1.3, partial(_consume, 64, True)),
    Case("consume 64 at once, order ours alone", 0.7, 1.3, partial(_consume, 64, False)),
)
