"""What runs in simulated time and has to leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eventproof.conformance.execution.virtual import VirtualLoop

Result = TypeVar("Result")


def virtually(work: Callable[[], Awaitable[Result]]) -> Result:
    """In simulated time; no task may be left."""

    async def alone() -> Result:
        try:
            return await work()
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    loop = VirtualLoop()
    try:
        return loop.run_until_complete(alone())
    finally:
        loop.close()
