"""For each broken requirement the smallest counterexample that can be made, told step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from eventproof.adapters import clock
from eventproof.conformance.batch import Batch, encode
from eventproof.conformance.case import Case, Watcher, save_case
from eventproof.conformance.execution.stage import Stage
from eventproof.conformance.history.record import History, Record
from eventproof.conformance.minimise.history import essential
from eventproof.conformance.minimise.scenario import minimise
from eventproof.conformance.report.report import Counterexample, Together
from eventproof.conformance.report.story import story
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.rules.rule import Violation
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.verdict import Verdict

RERUNS, BATCH_RERUNS = 10, 3
TRIED, SMALL = 4, 8  # so many cases are made smaller, until one has no more operations than this
BROKEN = frozenset({"fail", "hang"})
Failing: TypeAlias = Mapping[tuple[str, str], Sequence[Case]]
"""By anomaly, and the fault in between; "" for all."""


async def explain(
    judged: Iterable[Verdict],
    failing: Failing,
    on: Stage,
    folder: Path,
    budget: float,
    watcher: Watcher,
) -> tuple[Counterexample, ...]:
    """One counterexample per anomaly that breaks a claimed requirement; `budget` seconds for all.

    failing: for each such anomaly some cases that show it, and those that show it with a fault in between.
    """
    broken: dict[str, list[Verdict]] = {}
    for verdict in judged:
        for anomaly in verdict.anomalies if verdict.state in BROKEN else ():
            broken.setdefault(anomaly, []).append(verdict)
    if broken:
        watcher.phase("making counterexamples smaller", len(broken))
    passed, examples = clock.stopwatch(), []
    for number, (anomaly, named) in enumerate(broken.items()):
        until = passed() + (budget - passed()) / (len(broken) - number)
        faults = frozenset(fault for verdict in named for fault in verdict.faults)
        search = Search(on, anomaly, partial(_in_time, on, until, passed), faults)
        cases = [case for fault in faults or {""} for case in failing.get((anomaly, fault), ())]
        requirements = tuple(verdict.requirement for verdict in named)
        examples.append(await search.counterexample(cases, requirements, folder))
        watcher.step()
    return tuple(examples)


def _in_time(on: Stage, until: float, passed: Callable[[], float]) -> bool:
    return passed() < until and not on.allowance.ended


class Search:
    """The search for a smaller scenario that shows one anomaly on one broker. faults: if there are any, one
    of them has to lie in between."""

    def __init__(
        self, on: Stage, anomaly: str, in_time: Callable[[], bool], faults: frozenset[str] = frozenset()
    ) -> None:
        self._on = on
        self._anomaly = anomaly
        self._in_time = in_time
        self._faults = faults

    async def counterexample(
        self, cases: Sequence[Case], requirements: tuple[str, ...], folder: Path
    ) -> Counterexample:
        """A case made small, run again to see how often it shows, and saved beside the original."""
        case, scenario, history = await self.smallest_of(cases)
        original, _ = save_case(case.scenario, case.history, folder, f"{case.number:05}")
        again = await self._on.run([scenario] * RERUNS)
        showing = [other for other in again if self.violations(other)]
        batch = await self._together(case, folder) if case.batch and not showing else None
        history = showing[0] if showing else history
        violation, told = self.evidence(history)
        place = folder / "counterexamples" / self._anomaly
        saved = save_case(scenario, history, place, "minimal")
        return Counterexample(
            anomaly=self._anomaly, requirements=requirements, violation=violation, scenario=case.number,
            original=str(original.relative_to(folder)), minimal=str(saved[0].relative_to(folder)),
            history=str(saved[1].relative_to(folder)), operations=scenario.operations, shown=len(showing),
            reruns=len(again), story=tuple(story(history, violation.records, {record.i for record in told})),
            batch=batch,
        )  # fmt: skip

    async def _together(self, case: Case, folder: Path) -> Together:
        """The batch of a case that shows nothing alone, saved, and run again a few times."""
        path = folder / "counterexamples" / self._anomaly / "batch.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(Batch(case.batch)))
        runs = [await self._on.run(case.batch) for _ in range(BATCH_RERUNS)]
        shown = sum(any(self.violations(history) for history in run) for run in runs)
        return Together(str(path.relative_to(folder)), shown, len(runs))

    async def smallest_of(self, cases: Sequence[Case]) -> tuple[Case, Scenario, History]:
        """The smallest that a few of the cases can be made: one that is stuck in a corner is not the last
        word."""
        ordered = sorted(cases, key=lambda case: case.scenario.operations)
        best = (ordered[0], *await self.smallest(ordered[0]))
        for case in ordered[1:TRIED]:
            if best[1].operations <= SMALL or not self._in_time():
                break
            other = (case, *await self.smallest(case))
            best = min(best, other, key=lambda found: found[1].operations)
        return best

    async def smallest(self, case: Case) -> tuple[Scenario, History]:
        """The smallest scenario found and a history of it that shows the anomaly."""
        histories = {id(case.scenario): case.history}

        async def attempt(candidates: Sequence[Scenario]) -> int | None:
            for number, history in enumerate(await self._on.run(candidates)):
                if self.violations(history):
                    histories[id(candidates[number])] = history
                    kept.append(candidates[number])
                    return number
            return None

        kept: list[Scenario] = [case.scenario]
        involved = {record.call for record in self.evidence(case.history)[1] if record.call}
        await minimise(case.scenario, involved, attempt, self._in_time)
        return kept[-1], histories[id(kept[-1])]

    def evidence(self, history: History) -> tuple[Violation, Sequence[Record]]:
        """The first violation of the anomaly in a history that shows it, and the records that it rests on."""
        violation = self.violations(history)[0]
        return violation, essential(history, violation, self.violations)

    def violations(self, history: History) -> Sequence[Violation]:
        """Those of the anomaly in a history, as far as the rule keeps them."""
        found = (v for finding in judge(history) if finding.code == self._anomaly for v in finding.violations)
        return [v for v in found if not self._faults or self._faults & set(v.faults)]
