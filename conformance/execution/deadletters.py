"""Read dead-letter topics, as any consumer would."""

from __future__ import annotations

import asyncio

from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Delivery
from eventproof.conformance.events import DEAD_LETTER, call_of
from eventproof.conformance.execution.run import Run

READER_LEASE = 4  # ticks


async def read_dead(run: Run, topic: str, joined: asyncio.Event) -> None:
    """Read a dead-letter topic to its end and on; cancelled when drained. joined: set once it reads."""
    async with (
        run.connection() as broker,
        broker.subscribe(
            topic, group=run.reader, policy=Policy(ack_timeout=READER_LEASE * run.site.tick)
        ) as letters,
    ):
        joined.set()
        async for delivery in letters:
            _record_dead(run, delivery)
            await delivery.ack()


def _record_dead(run: Run, delivery: Delivery) -> None:
    event = delivery.event
    letter = {name: event.extensions.get(name) for name in DEAD_LETTER}
    attempts = letter["dlattempts"]
    run.record(
        "dead",
        topic=str(letter["dltopic"] or ""), group=str(letter["dlgroup"] or ""), call=call_of(event),
        event=event.identity, type=event.type, key=event.key or "", digest=run.digest(event),
        reason=str(letter["dlreason"] or ""), error=str(letter["dlerror"] or ""),
        attempt=attempts if type(attempts) is int else 0, position=delivery.position or "",
        partition=-1 if delivery.partition is None else delivery.partition,
    )  # fmt: skip
