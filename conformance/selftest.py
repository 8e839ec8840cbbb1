"""Test the tester: does each rule catch the broker that breaks it, and no broker that does not?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import count
from multiprocessing import get_context

import msgspec

from eventproof.conformance import strategies
from eventproof.conformance.case import Case, Watcher
from eventproof.conformance.execution.stage import Stage, run_on, stage
from eventproof.conformance.explain import SMALL, Search
from eventproof.conformance.mutants import MUTANTS, ODD, Mutant
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.processes import die_with
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.targets.memory import MemoryTarget, connect
from eventproof.conformance.verdict import Means, Total, Verdict, totals, verdicts
from eventproof.spec import requirements

BROKERS: tuple[Mutant, ...] = (*MUTANTS, *ODD)


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one broker.

    anomaly: the code that had to find it, "" for an odd one. found: every code that fired on a claimed
    requirement, with the number of scenarios that showed it. requirements: those that fell. after:
    scenarios until the right code fired, 0 if it never did. operations: of the minimal counterexample.
    """

    name: str
    summary: str
    anomaly: str
    found: dict[str, int]
    requirements: tuple[str, ...]
    after: int = 0
    operations: int = 0

    @property
    def right(self) -> bool:
        """An odd broker must not be found; a broken one by its own rule, in few steps."""
        if not self.anomaly:
            return not self.found
        return self.after > 0 and self.operations <= SMALL


class Selftest(msgspec.Struct, frozen=True, kw_only=True):
    """The kill matrix of one corpus."""

    scenarios: int
    seed: int
    kills: tuple[Kill, ...]

    @property
    def passed(self) -> bool:
        return all(kill.right for kill in self.kills)


def selftest(scenarios: int, seed: int, watcher: Watcher) -> Selftest:
    """Run all mutants and odd brokers on `scenarios` scenarios of one seed, on all processors."""
    brokers = range(len(BROKERS))
    watcher.phase("trying broken and odd brokers", len(brokers))
    kills, spawned, ours = [], get_context("spawn"), (os.getpid(),)
    with ProcessPoolExecutor(mp_context=spawned, initializer=die_with, initargs=ours) as pool:
        for kill in pool.map(partial(attempt, scenarios, seed), brokers):
            kills.append(kill)
            watcher.step()
    return Selftest(scenarios=scenarios, seed=seed, kills=tuple(kills))


def attempt(scenarios: int, seed: int, number: int) -> Kill:
    """What becomes of the broker of that number in `BROKERS`."""
    broker = BROKERS[number]
    return run_on("virtual", partial(_try, broker, corpus(scenarios, seed, faulty=bool(broker.fault))))


@cache
def corpus(scenarios: int, seed: int, *, faulty: bool) -> Sequence[Scenario]:
    """The scenarios that all brokers of one selftest go through: without faults, or each with some."""
    return strategies.generate(scenarios, seed, led=1 if faulty else 0)


def plugin(mutant: Mutant) -> Plugin:
    """A mutant as a broker to test."""
    return Plugin(mutant.name, partial(connect, engine=mutant.engine), MemoryTarget())


async def _try(mutant: Mutant, scenarios: Sequence[Scenario]) -> Kill:
    async with stage(
        plugin(mutant), name=mutant.name, url=None, options=dict(mutant.options), claims=mutant.claims
    ) as on:
        histories = await on.run(scenarios)
        cases = [Case(n, s, h, judge(h)) for n, s, h in zip(count(1), scenarios, histories, strict=False)]
        found: dict[str, Total] = {}
        totals(((case.number, case.findings) for case in cases), found)
        fallen = [
            v for v in verdicts(requirements, on.site.claims, found, Means()) if v.state in {"fail", "hang"}
        ]
        codes = {code for verdict in fallen for code in verdict.anomalies}
        right = _codes_under(mutant, fallen) if mutant.fault else codes
        showing = [case for case in cases if case.shows(mutant.anomaly)] if mutant.anomaly in right else []
        return Kill(
            name=mutant.name,
            summary=mutant.summary,
            anomaly=mutant.anomaly,
            found={code: sum(case.shows(code) for case in cases) for code in sorted(codes)},
            requirements=tuple(verdict.requirement for verdict in fallen),
            after=showing[0].number if showing else 0,
            operations=await _smallest(on, mutant.anomaly, showing) if showing else 0,
        )


def _codes_under(mutant: Mutant, fallen: Sequence[Verdict]) -> frozenset[str]:
    """The codes by which a requirement fell that is tried with the mutant's fault; where its anomaly decides
    none of those, by which any fell."""
    tried = {code for one in requirements if mutant.fault in one.faults for code in one.anomalies}
    judged = [v for v in fallen if mutant.fault in v.faults] if mutant.anomaly in tried else fallen
    return frozenset(code for verdict in judged for code in verdict.anomalies)


async def _smallest(on: Stage, anomaly: str, showing: Sequence[Case]) -> int:
    _, scenario, _ = await Search(on, anomaly, lambda: True).smallest_of(showing)
    return scenario.operations
