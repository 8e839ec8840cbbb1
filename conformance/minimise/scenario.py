"""Make a failing scenario as small as it can be, on the broker that failed it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice

from eventproof.conformance.minimise.ddmin import ddmin
from eventproof.conformance.minimise.parts import Unit, restrict, simpler, units
from eventproof.conformance.scenario import Scenario

Try = Callable[[Sequence[Scenario]], Awaitable[int | None]]
"""Runs candidates side by side; the index of the first one that fails in the same way, or None."""

WIDTH = 24  # candidates of one round


async def minimise(
    scenario: Scenario, involved: Iterable[int], attempt: Try, in_time: Callable[[], bool]
) -> Scenario:
    """The smallest scenario found that `attempt` still sees fail, before the time is over.

    involved: calls that the minimal history names; the scenario cut down to them is tried first.
    """
    scenario = await _cut(scenario, set(involved), attempt)
    scenario = await _leave_out(scenario, attempt, in_time)
    scenario = await _simplify(scenario, attempt, in_time)
    return await _leave_out(scenario, attempt, in_time)


async def _cut(scenario: Scenario, calls: set[int], attempt: Try) -> Scenario:
    kept = [
        u
        for u in units(scenario)
        if u.kind in {"group", "consumer", "fault"} or (u.b if u.kind == "behaviour" else u.a) in calls
    ]
    candidate = restrict(scenario, kept)
    return candidate if await attempt([candidate]) == 0 else scenario


async def _leave_out(scenario: Scenario, attempt: Try, in_time: Callable[[], bool]) -> Scenario:
    search = ddmin(units(scenario))
    best: list[Unit] = units(scenario)
    chosen: int | None = None
    try:
        candidates = next(search)
        while in_time():
            chosen = await _first(attempt, [restrict(scenario, kept) for kept in candidates])
            best = best if chosen is None else candidates[chosen]
            candidates = search.send(chosen)
    except StopIteration as done:
        best = done.value
    return restrict(scenario, best)


async def _simplify(scenario: Scenario, attempt: Try, in_time: Callable[[], bool]) -> Scenario:
    while in_time():
        candidates = list(simpler(scenario))
        chosen = await _first(attempt, candidates)
        if chosen is None:
            break
        scenario = candidates[chosen]
    return scenario


async def _first(attempt: Try, candidates: list[Scenario]) -> int | None:
    """The first failing candidate, a round of bounded width at a time."""
    rest = iter(enumerate(candidates))
    while batch := list(islice(rest, WIDTH)):
        found = await attempt([candidate for _, candidate in batch])
        if found is not None:
            return batch[found][0]
    return None
