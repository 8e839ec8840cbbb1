"""FastStream, with acknowledgements confirmed like everybody else's and without its log of each message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub

from benchmarks.nats.workload import Message, Meter


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[NatsBroker]:
    """Started by who consumes: its subscribers come first."""
    broker = NatsBroker(url, logger=None)
    await broker.connect()
    yield broker
    await broker.stop()


async def sequential(broker: NatsBroker, stream: str, messages: Sequence[Message]) -> None:
    for message in messages:
        await broker.publish(message.body, message.subject, message.headers, stream=stream)


async def pipelined(broker: NatsBroker, stream: str, messages: Sequence[Message]) -> None:
    await asyncio.gather(
        *(broker.publish(m.body, m.subject, m.headers, stream=stream, timeout=30) for m in messages)
    )


async def consume(
    broker: NatsBroker, stream: str, durables: Sequence[str], subject: str, width: int, meter: Meter
) -> None:
    """One subscriber for each durable, `width` events at once in each."""

    async def settle(message: NatsMessage) -> None:
        await message.ack_sync()
        meter.settled()

    for durable in durables:
        broker.subscriber(
            subject,
            durable=durable,
            stream=JStream(stream, declare=False),
            pull_sub=PullSub(batch_size=width, timeout=1),
            ack_policy=AckPolicy.MANUAL,
        )(settle)
    await broker.start()
    await meter.done.wait()
