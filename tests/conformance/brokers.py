"""Run scenarios on a broker in this process, in one line, and break that broker in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from eventproof.adapters.claims import Claims
from eventproof.adapters.memory import connect
from eventproof.conformance.execution.stage import run_on, stage
from eventproof.conformance.history.record import History
from eventproof.conformance.plugin import Plugin, ours
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import Consumer, Group, Policy, Publish, Scenario
from eventproof.conformance.targets.memory import MemoryTarget
from eventproof.conformance.verdict import Means, Total, Verdict, totals, verdicts
from eventproof.spec import requirements

SMALL = Scenario(
    publishers=(tuple(Publish(call=n, event=n, key=1 + n % 2) for n in (1, 2, 3)),),
    groups=(Group(policy=Policy(max_attempts=2), consumers=(Consumer(), Consumer())),),
)


def run(
    scenarios: Sequence[Scenario],
    plugin: Plugin | None = None,
    claims: Callable[[Claims], Claims] = lambda claims: claims,
    **options: Any,
) -> list[History]:
    """The history of each scenario, all on one memory broker with these options, or on another plugin.

    Fails if a task of the suite or of the adapter is left when the runs have ended.
    """
    chosen = plugin or ours("memory")

    async def work() -> list[History]:
        async with stage(chosen, name="test", url=None, options=options, claims=claims) as on:
            found = await on.run(scenarios)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return found

    return run_on(chosen.facilities.clock, work)


def judged(histories: Sequence[History]) -> dict[str, Verdict]:
    """The verdicts over some histories, by requirement."""
    found: dict[str, Total] = {}
    totals(enumerate(map(judge, histories), 1), found)
    claims = histories[0].header.claims
    return {verdict.requirement: verdict for verdict in verdicts(requirements, claims, found, Means())}


def broken(histories: Sequence[History]) -> dict[str, str]:
    """The requirements that fell, each with its state."""
    return {
        name: verdict.state
        for name, verdict in judged(histories).items()
        if verdict.state in {"fail", "hang"}
    }


class Passing:
    """A broker that hands everything on to the memory broker; what misbehaves overrides one method."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.claims = broker.claims

    async def publish(self, topic: str, event: Any) -> Any:
        return await self.broker.publish(topic, event)

    def subscribe(self, topic: str, **given: Any) -> Any:
        return self.broker.subscribe(topic, **given)


def plugin(wrapper: type[Passing]) -> Plugin:
    """The memory broker behind a wrapper, with the facilities of our memory target."""

    @asynccontextmanager
    async def connected(url: str, **options: Any):
        async with connect(url, **options) as broker:
            yield wrapper(broker)

    return Plugin(wrapper.__name__, connected, MemoryTarget())
