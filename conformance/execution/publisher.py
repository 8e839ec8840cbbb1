"""A publisher: goes through its steps in order, waiting for each outcome or not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from eventproof.conformance.execution.run import Run
from eventproof.conformance.scenario import Publish


async def publish_all(run: Run, process: str, steps: Sequence[Publish], until: float) -> None:
    """Carry out one publisher's steps on a connection of its own; none is begun after `until`
    (`loop.time()`), not counting what the pace held up."""
    loop = asyncio.get_running_loop()
    async with run.connection() as broker:
        overlapping: list[asyncio.Task[None]] = []
        for step in steps:
            if step.after:
                await asyncio.sleep(step.after * run.site.tick)
            if run.broken.is_set() or loop.time() > until + run.held():
                break
            call = run.publish_until_known(broker, process, step)
            if step.pipelined:
                overlapping.append(asyncio.ensure_future(call))
            else:
                await call
        await asyncio.gather(*overlapping)
