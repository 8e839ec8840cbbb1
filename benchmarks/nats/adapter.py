"""Our adapter, used as a service uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from benchmarks.nats.workload import Message, Meter
from eventproof.adapters.nats import JetStreamBroker, connect
from eventproof.adapters.policy import Policy

__all__ = ["connect", "consume", "pipelined", "sequential"]


async def sequential(broker: JetStreamBroker, topic: str, messages: Sequence[Message]) -> None:
    for message in messages:
        await broker.publish(topic, message.event)


async def pipelined(broker: JetStreamBroker, topic: str, messages: Sequence[Message]) -> None:
    await asyncio.gather(*(broker.publish(topic, message.event) for message in messages))


async def consume(broker: JetStreamBroker, topic: str, group: str, width: int, meter: Meter) -> None:
    """`width` tasks over one subscription; each key in order, whatever the width."""
    async with broker.subscribe(topic, group=group, policy=Policy(max_in_flight=width)) as subscription:

        async def work() -> None:
            async for delivery in subscription:
                async with delivery:
                    pass
                meter.settled()

        workers = [asyncio.ensure_future(work()) for _ in range(width)]
        await meter.done.wait()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
