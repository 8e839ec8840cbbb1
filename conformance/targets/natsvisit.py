"""A NATS server that is not ours, as both of its adapters attach to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Any, Final

from eventproof.adapters.errors import InvalidOption
from eventproof.conformance.targets.visit import Visit

TICK_ROUND_TRIPS: Final = 10  # a tick is no shorter: a settlement takes several
ROUND_TRIPS: Final = 5  # measured


def options(visit: Visit) -> Mapping[str, Any]:
    """The adapter's options: everything is below the namespace. Raises InvalidOption."""
    if "prefix" in visit.options:
        raise InvalidOption("on a server that is not ours the option prefix is the --namespace: leave it out")
    return {"inbox": f"_INBOX.{visit.namespace}", **visit.options, "prefix": visit.namespace}


async def tick(shortest: float, request: Callable[[], Awaitable[object]]) -> float:
    """Seconds of a tick: longer than usual for a server that is far away. request: a round trip to it."""
    loop, measured = asyncio.get_running_loop(), []
    for _ in range(ROUND_TRIPS):
        start = loop.time()
        await request()
        measured.append(loop.time() - start)
    return max(shortest, TICK_ROUND_TRIPS * median(measured))
