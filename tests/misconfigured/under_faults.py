"""An adapter of this folder, and beside it the correct one, with servers and processes that faults befall."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from eventproof.conformance.execution.stage import stage
from eventproof.conformance.history.record import History
from eventproof.conformance.minimise.history import essential
from eventproof.conformance.plugin import Plugin, anybodys, ours
from eventproof.conformance.report.story import story
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.rules.rule import Violation
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.targets.nats import NatsTarget, connect
from eventproof.conformance.verdict import Means
from tests.misconfigured.judging import Judged, verdicts_over

ROOT = Path(__file__).parents[2]


def lying(name: str) -> Plugin:
    """The adapter of that name in this folder. A driver does not look into the current folder, where the
    modules are that it imports."""
    plugin = anybodys(f"{Path(__file__).with_name(f'{name}.py')}:connect")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return replace(plugin, command=("env", f"PYTHONPATH={path}", *(plugin.command or ())))


def correct() -> Plugin:
    """The JetStream adapter, with a target that shares nothing."""
    return Plugin("nats", connect, NatsTarget(), ours("nats").command)


async def befall(plugin: Plugin, name: str, scenarios: Sequence[Scenario]) -> Judged:
    """Run the scenarios on a server of their own, and judge by what the adapter claims."""
    async with stage(plugin, name=name, url=None, options={}, claims=lambda claims: claims) as on:
        histories = await on.run(scenarios)
        claims, means = on.site.claims, Means(faults=on.faults)
        return Judged(claims, histories, verdicts_over(histories, claims, means), means=means)


def told(judged: Judged, anomaly: str) -> Sequence[str]:
    """The story of the first history with the anomaly, cut down to what shows it; empty if there is none."""
    for history in judged.histories:
        found = _violations(anomaly, history)
        if found:
            kept = essential(history, found[0], partial(_violations, anomaly))
            return story(history, found[0].records, {record.i for record in kept})
    return ()


def _violations(anomaly: str, history: History) -> Sequence[Violation]:
    """Those of the anomaly in a history."""
    return [one for finding in judge(history) if finding.code == anomaly for one in finding.violations]
