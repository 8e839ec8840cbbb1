"""Run a test on simulated time: seconds cost nothing, and wall time follows the loop's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta, timezone
from functools import wraps
from typing import Any, TypeVar

from eventproof.adapters import clock
from eventproof.conformance.execution.virtual import VirtualLoop

R = TypeVar("R")
START = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)  # wall time when the loop's clock says 0


def run(work: Coroutine[Any, Any, R]) -> R:
    """What the coroutine returns. Raises Deadlock when it waits for what nobody will bring."""
    loop = VirtualLoop()
    token = clock.source.set(lambda: START + timedelta(seconds=loop.time()))
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(_cancelled(asyncio.all_tasks(loop)))
        loop.run_until_complete(loop.shutdown_asyncgens())
        clock.source.reset(token)
        loop.close()


async def _cancelled(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Makes a test of a coroutine function."""

    @wraps(test)
    def on_virtual_time(*args: Any, **kwargs: Any) -> None:
        run(test(*args, **kwargs))

    return on_virtual_time


def at() -> float:
    """Seconds since the test began."""
    return asyncio.get_running_loop().time()
