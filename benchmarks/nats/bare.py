"""The baseline: nats-py alone, each case in the fewest lines that do the same work at the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import nats
from nats.js import JetStreamContext

from benchmarks.nats.workload import Message, Meter


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(url)
    yield client.jetstream()
    await client.close()


async def sequential(js: JetStreamContext, messages: Sequence[Message]) -> None:
    for message in messages:
        await js.publish(message.subject, message.body, headers=message.headers)


async def pipelined(js: JetStreamContext, messages: Sequence[Message]) -> None:
    await asyncio.gather(*(js.publish(m.subject, m.body, headers=m.headers, timeout=30) for m in messages))


async def strict(js: JetStreamContext, stream: str, durables: Sequence[str], meter: Meter) -> None:
    """One event in flight in each durable."""

    async def lane(durable: str) -> None:
        subscription = await js.pull_subscribe_bind(durable, stream)
        while True:
            (message,) = await subscription.fetch(1, timeout=60)
            await message.ack_sync()
            meter.settled()

    lanes = [asyncio.ensure_future(lane(durable)) for durable in durables]
    await meter.done.wait()
    for task in lanes:
        task.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)


async def parallel(js: JetStreamContext, stream: str, durable: str, width: int, meter: Meter) -> None:
    """Batches of `width` events, acked side by side; no order is kept."""
    subscription = await js.pull_subscribe_bind(durable, stream)
    while not meter.done.is_set():
        for settled in asyncio.as_completed([m.ack_sync() for m in await subscription.fetch(width)]):
            await settled
            meter.settled()
