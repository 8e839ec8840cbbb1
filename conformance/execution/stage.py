"""A broker that is up and a loop with the right clock: where many scenarios run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import msgspec

from eventproof.adapters import clock
from eventproof.adapters.claims import Claims
from eventproof.conformance.execution.execute import execute
from eventproof.conformance.execution.run import Site
from eventproof.conformance.execution.virtual import VirtualLoop
from eventproof.conformance.foreign import foreign
from eventproof.conformance.history.collection import collection_paused
from eventproof.conformance.history.record import History
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.targets.target import Clock

VIRTUAL_START = datetime(2026, 1, 1, tzinfo=timezone.utc)
AT_ONCE = {"virtual": 1, "real": 48}  # scenarios side by side
WITHIN_TICKS = 40  # an event that is due and has not come by then is stuck

Result = TypeVar("Result")


class Stage:
    """Runs scenarios on one broker, each in a namespace of its own."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self._name = name
        self._runs = 0
        self._room = asyncio.Semaphore(AT_ONCE[site.facilities.clock])

    async def run(
        self, scenarios: Sequence[Scenario], done: Callable[[], None] = lambda: None
    ) -> list[History]:
        """The history of each scenario, in their order. done: called as each one ends."""
        with collection_paused():
            return await asyncio.gather(*(self._one(scenario, done) for scenario in scenarios))

    async def _one(self, scenario: Scenario, done: Callable[[], None]) -> History:
        self._runs += 1
        namespace = f"{self._name}-{self._runs}"
        async with self._room:
            history = await execute(scenario, self.site, namespace)
        done()
        return history


@asynccontextmanager
async def stage(
    plugin: Plugin, *, name: str, url: str | None, options: dict[str, Any], claims: Callable[[Claims], Claims]
) -> AsyncIterator[Stage]:
    """Bring the broker up and keep one connection open, so that it lives as long as the stage.

    claims: what to judge by, given what the adapter claims.
    """
    async with AsyncExitStack() as stack:
        with foreign(f"{plugin.name} cannot be reached"):
            address = await stack.enter_async_context(plugin.facilities.start(url))
            admin = await stack.enter_async_context(plugin.connect(address, **options))
        site = Site(
            connect=lambda: plugin.connect(address, **options),
            claims=claims(admin.claims),
            offered=admin.claims,
            facilities=_limited(plugin, admin.claims),
            within=WITHIN_TICKS * plugin.facilities.tick,
            versions=plugin.facilities.versions() if plugin.facilities.versions else {},
            target=plugin.name,
            configuration={name: str(value) for name, value in options.items()},
        )
        yield Stage(site, name)


def _limited(plugin: Plugin, claims: Claims) -> Any:
    """The payload limit is what the target knows, else what the adapter claims."""
    if plugin.facilities.max_payload is not None:
        return plugin.facilities
    return msgspec.structs.replace(plugin.facilities, max_payload=claims.flow.max_payload)


def run_on(kind: Clock, work: Callable[[], Awaitable[Result]]) -> Result:
    """Run to the end on a loop with that clock; wall time follows the virtual one."""
    if kind == "real":
        return asyncio.run(_awaited(work))
    loop = VirtualLoop()
    token = clock.source.set(lambda: VIRTUAL_START + timedelta(seconds=loop.time()))
    try:
        return loop.run_until_complete(_awaited(work))
    finally:
        clock.source.reset(token)
        loop.close()


async def _awaited(work: Callable[[], Awaitable[Result]]) -> Result:
    return await work()
