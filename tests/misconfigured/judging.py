"""The suite's pipeline over an adapter of this folder, on a server that is there: run, judge, explain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.conformance.case import Case
from eventproof.conformance.execution.stage import Stage, stage
from eventproof.conformance.explain import explain
from eventproof.conformance.fitting import fit
from eventproof.conformance.history.record import History
from eventproof.conformance.plugin import anybodys
from eventproof.conformance.report.report import Counterexample
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import Act, Scenario
from eventproof.conformance.verdict import Means, Total, Verdict, totals, verdicts
from eventproof.spec import requirements

COUNT = 16  # scenarios for each adapter, all at once: a busy machine must have time for every one of them
BUDGET = 12.0  # seconds for making the counterexample smaller
LONG = 2  # ticks: how long a delay has to be to be told from none
_NACK = Act(do="nack")
WITHOUT_FAULTS = Means()


@dataclass(frozen=True)
class Judged:
    """What the suite says of an adapter by its own claims, and what happened."""

    claims: Claims
    histories: Sequence[History]
    verdicts: Sequence[Verdict]
    counterexample: Counterexample | None = None
    means: Means = WITHOUT_FAULTS

    def by(self, claims: Claims) -> Sequence[Verdict]:
        """The verdicts over the same histories by other claims."""
        return verdicts_over([_claiming(history, claims) for history in self.histories], claims, self.means)


class Unwatched:
    """Nobody follows the run."""

    def phase(self, text: str, steps: int) -> None: ...
    def step(self) -> None: ...


Occasion = Callable[[Scenario], bool]


async def run(
    name: str, anomaly: str, url: str, drawn: Sequence[Scenario], occasion: Occasion, folder: Path
) -> Judged:
    """Run an adapter of this folder through a few of the scenarios, fitted to what it offers, and explain one
    anomaly if it breaks a claim. folder: takes the counterexample."""
    plugin = anybodys(f"{Path(__file__).with_name(f'{name}.py')}:connect")
    async with stage(
        plugin, name=name.replace("_", "-"), url=url, options={}, claims=lambda claims: claims
    ) as on:
        scenarios = small((fit(scenario, on.site.offered) for scenario in drawn), occasion)
        return await _judged(on, anomaly, scenarios, folder)


async def _judged(on: Stage, anomaly: str, scenarios: Sequence[Scenario], folder: Path) -> Judged:
    histories = await on.run(scenarios)
    cases = [
        Case(number, scenario, history, judge(history))
        for number, (scenario, history) in enumerate(zip(scenarios, histories, strict=True), 1)
    ]
    found = verdicts_over(histories, on.site.claims)
    failing = {(anomaly, ""): [case for case in cases if case.shows(anomaly)]}
    fallen = (msgspec.structs.replace(one, anomalies=(anomaly,)) for one in found if anomaly in one.anomalies)
    examples = await explain(fallen, failing, on, folder, BUDGET, Unwatched())
    return Judged(on.site.claims, histories, found, next(iter(examples), None))


def verdicts_over(
    histories: Sequence[History], claims: Claims, means: Means = WITHOUT_FAULTS
) -> Sequence[Verdict]:
    """One verdict for each requirement, as the rules find it in all of the histories."""
    found: dict[str, Total] = {}
    totals(enumerate(map(judge, histories), 1), found)
    return verdicts(requirements, claims, found, means)


def _claiming(history: History, claims: Claims) -> History:
    header = msgspec.structs.replace(history.header, claims=claims)
    return msgspec.structs.replace(history, header=header)


def broken(found: Sequence[Verdict]) -> set[str]:
    """The anomalies that break a claimed requirement."""
    return {code for one in found if one.state in {"fail", "hang"} for code in one.anomalies}


def small(drawn: Iterable[Scenario], occasion: Occasion) -> list[Scenario]:
    """The smallest ones with an occasion for the mistake: they run and explain quickly."""
    found = [scenario for scenario in drawn if occasion(scenario)]
    return sorted(found, key=lambda scenario: scenario.operations)[:COUNT]


def anyhow(scenario: Scenario) -> bool:
    """The mistake needs no occasion but an event."""
    return bool(scenario.publishes)


def repeats(scenario: Scenario) -> bool:
    """An event is published twice."""
    return len({step.event for step in scenario.publishes}) < len(scenario.publishes)


def away(scenario: Scenario) -> bool:
    """A consumer joins when something was published already, or leaves for a while."""
    return any(one.joins for group in scenario.groups for one in group.consumers) or does("leave")(scenario)


def crowded(scenario: Scenario) -> bool:
    """Some consumer works on, or fails, an event whose key has others."""
    keys = Counter((step.topic, step.key) for step in scenario.publishes if step.key)
    shared = {step.call for step in scenario.publishes if keys[step.topic, step.key] > 1}
    busy = {one.call for one in scenario.behaviours if one.acts[0].do in {"nack", "hold", "extend"}}
    return bool(shared & busy)


def held_off(scenario: Scenario) -> bool:
    """A failed event has to wait for longer than a redelivery takes on a busy machine."""
    waits = [scenario.groups[one.group].policy.backoff[0] for one in scenario.behaviours if _NACK in one.acts]
    waits += [act.ticks or 0 for one in scenario.behaviours for act in one.acts if act.do == "nack"]
    return max(waits, default=0) >= LONG


def does(*acts: str) -> Occasion:
    """Some consumer does one of these with an event."""
    return lambda scenario: any(act.do in acts for one in scenario.behaviours for act in one.acts)
