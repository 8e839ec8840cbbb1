"""A broker that is up and a loop with the right clock: where many scenarios run."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, TypeVar

import msgspec

from eventproof.adapters import clock
from eventproof.adapters.claims import Claims
from eventproof.adapters.errors import EventproofError
from eventproof.adapters.secret import redacted
from eventproof.conformance.demand import weight
from eventproof.conformance.execution.batches import Batch, batches
from eventproof.conformance.execution.execute import execute
from eventproof.conformance.execution.limits import Allowance, Pace
from eventproof.conformance.execution.participant import Participant, embodied, likeness
from eventproof.conformance.execution.recovery import Recovery, broker_faults
from eventproof.conformance.execution.run import Site
from eventproof.conformance.execution.virtual import VirtualLoop
from eventproof.conformance.execution.visiting import Guest, attached, preflight
from eventproof.conformance.execution.weather import Weather
from eventproof.conformance.foreign import foreign
from eventproof.conformance.history.collection import collection_paused
from eventproof.conformance.history.record import History
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.targets.facilities import Facilities
from eventproof.conformance.targets.guard import guarded
from eventproof.conformance.targets.target import Clock
from eventproof.conformance.targets.visit import Terms

VIRTUAL_START = datetime(2026, 1, 1, tzinfo=timezone.utc)
AT_ONCE = {"virtual": 1, "real": 64}  # scenarios side by side
WITHIN_TICKS = 40  # an event that is due and has not come by then is stuck

Result = TypeVar("Result")


class ImpossibleFault(EventproofError):
    """A scenario has a fault that cannot be made on this broker."""


class Stage:
    """Runs scenarios on one broker, each in a namespace of its own.

    allowance: what they may take together. terms: what a preflight found; None on a broker of our own.
    """

    def __init__(
        self, site: Site, name: str, *, allowance: Allowance | None = None, terms: Terms | None = None
    ) -> None:
        self.site = site
        self.allowance = allowance or Allowance()
        self.terms = terms
        self._name = name
        self._runs = 0
        self._size = AT_ONCE[site.facilities.clock] if terms is None else terms.at_once
        self._room = asyncio.Semaphore(self._size)

    @property
    def faults(self) -> frozenset[str]:
        """Names of those that can be made here: of a broker only if it is our own."""
        consumers = {"consumer-loss", "consumer-pause"} if self.site.spawn is not None else ()
        return broker_faults(self.site.facilities) | frozenset(consumers)

    async def run(
        self, scenarios: Sequence[Scenario], done: Callable[[], None] = lambda: None
    ) -> list[History]:
        """The histories of the scenarios, in their order: of all, or of the first ones if a cap was reached.
        done: called as each one ends. Raises ImpossibleFault if one has a fault that cannot be made here."""
        self._admit(scenarios)
        found: dict[int, History | None] = {}
        for batch in self.batches(scenarios):
            found.update(await self._batch(batch, done))
        histories = (found[number] for number in range(len(scenarios)))
        return [history for history in histories if history is not None]

    def batches(self, scenarios: Sequence[Scenario]) -> list[Batch]:
        """Which of them run side by side."""
        return batches(scenarios, self._size)

    def _admit(self, scenarios: Sequence[Scenario]) -> None:
        wanted = {fault.name for scenario in scenarios for fault in scenario.faults}
        if missing := wanted - self.faults:
            raise ImpossibleFault(
                f"{self.site.target} cannot be made to suffer the scenario's {', '.join(sorted(missing))}: "
                "consumers have to be processes that we start, and the broker a server that we start "
                "(without --url, with --driver for --adapter); or take the faults out of the scenario"
            )

    async def _batch(self, batch: Batch, done: Callable[[], None]) -> dict[int, History | None]:
        """All scenarios of a batch side by side; if one of them leads, a fault of its meets all."""
        leads = any(scenario.broker_faults for _, scenario in batch)
        weather = Weather(Recovery(self.site.facilities), len(batch) if leads else 0)
        tasks = [asyncio.ensure_future(self._one(scenario, weather, done)) for _, scenario in batch]
        try:
            with collection_paused():
                ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in ended:
                task.result()
        finally:  # each removes what it made, also if another one failed or all are to end
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {number: task.result() for (number, _), task in zip(batch, tasks, strict=True)}

    async def _one(self, scenario: Scenario, weather: Weather, done: Callable[[], None]) -> History | None:
        """None if there is no allowance left: then there is none for any later one."""
        self._runs += 1
        namespace = f"{self._name}-{self._runs}"
        async with self._room:
            if not self.allowance.take(weight(scenario, self.site.facilities.max_payload)):
                return None
            history = await execute(scenario, self.site, namespace, weather)
        done()
        return history


@asynccontextmanager
async def stage(
    plugin: Plugin,
    *,
    name: str,
    url: str | None,
    options: Mapping[str, Any],
    claims: Callable[[Claims], Claims],
    guest: Guest | None = None,
) -> AsyncIterator[Stage]:
    """Bring the broker up and keep one connection open, so that it lives as long as the stage.

    claims: what to judge by, given what the adapter claims. guest: for a server that is not ours, in place of
    name, url and options. Raises NotReady, InvalidManifest, LeftBehind.
    """
    async with AsyncExitStack() as stack:
        with foreign(f"{plugin.name} cannot be reached"):
            start = plugin.facilities.start(url) if guest is None else attached(plugin, guest.visit)
            address = await stack.enter_async_context(start)
            offered = plugin.facilities  # some of it is known only now
            given = {**(options if guest is None else guest.visit.options), **offered.options}
            admin = await stack.enter_async_context(plugin.connect(address, **given))
            terms = None if guest is None else await preflight(offered, guest.visit, guest.demand)
        if guest is not None:
            offered = await stack.enter_async_context(guarded(offered, guest.header, guest.manifest))
        site = Site(
            connect=partial(plugin.connect, address, **given),
            spawn=_spawn(plugin, offered, address, given),
            claims=claims(admin.claims),
            offered=admin.claims,
            facilities=_limited(offered, admin.claims),
            within=WITHIN_TICKS * offered.tick,
            versions=offered.versions() if offered.versions else {},
            target=plugin.name,
            configuration={name: redacted(str(value)) for name, value in given.items()},
            pace=Pace(None if guest is None else guest.visit.caps.rate),
            group_prefix="" if guest is None else f"{guest.visit.namespace}-",
        )
        yield Stage(site, name) if guest is None else _visiting(site, guest, terms)


def _visiting(site: Site, guest: Guest, terms: Terms | None) -> Stage:
    return Stage(site, guest.visit.namespace, allowance=Allowance(guest.visit.caps), terms=terms)


def _spawn(
    plugin: Plugin, offered: Facilities, address: str, given: Mapping[str, Any]
) -> Callable[[], AbstractAsyncContextManager[Participant]] | None:
    """How a participant comes about that can be killed: as its likeness where the broker is in this process,
    else as a process of its own, which has to be able to reach the broker."""
    if offered.sever is not None:
        return partial(likeness, lambda: plugin.connect(address, **given), offered.sever)
    if plugin.command is None or address.startswith("memory://"):
        return None
    return partial(embodied, plugin.command, address, given)


def _limited(offered: Facilities, claims: Claims) -> Facilities:
    """The payload limit is what the target knows, else what the adapter claims."""
    if offered.max_payload is not None:
        return offered
    return msgspec.structs.replace(offered, max_payload=claims.flow.max_payload)


def run_on(kind: Clock, work: Callable[[], Awaitable[Result]]) -> Result:
    """Run to the end on a loop with that clock; wall time follows the virtual one.

    On SIGINT or SIGTERM the work is cancelled, so that it leaves nothing behind; raises KeyboardInterrupt.
    """
    if kind == "real":
        try:
            return asyncio.run(_interruptible(work))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
    loop = VirtualLoop()
    token = clock.source.set(lambda: VIRTUAL_START + timedelta(seconds=loop.time()))
    try:
        return loop.run_until_complete(_awaited(work))
    finally:
        clock.source.reset(token)
        loop.close()


async def _interruptible(work: Callable[[], Awaitable[Result]]) -> Result:
    task = asyncio.current_task()
    if task is not None and threading.current_thread() is threading.main_thread():
        for stopping in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(stopping, task.cancel)
    return await work()


async def _awaited(work: Callable[[], Awaitable[Result]]) -> Result:
    return await work()
