"""The whole pipeline: scenarios, histories, findings, verdicts, counterexamples, report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from eventproof.adapters import clock
from eventproof.adapters.claims import Claims
from eventproof.adapters.errors import EventproofError
from eventproof.adapters.secret import redacted
from eventproof.conformance import strategies
from eventproof.conformance.case import Case, Watcher, save_case
from eventproof.conformance.demand import without_oversize
from eventproof.conformance.execution.batches import Batch
from eventproof.conformance.execution.stage import Stage, run_on, stage
from eventproof.conformance.execution.visiting import Guest
from eventproof.conformance.explain import TRIED, explain
from eventproof.conformance.fitting import fit
from eventproof.conformance.misfortunes import as_met, bearable
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.profiles import ProfileState, profile_reasons, profile_states
from eventproof.conformance.report.counts import count
from eventproof.conformance.report.report import Counts, Report, Visited, save
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import Group, Policy, Scenario, Topic
from eventproof.conformance.verdict import LARGE, Means, Total, decisive, totals, verdicts
from eventproof.spec import requirements

FAULT = "fault"  # the tier that makes faults
CHUNK = 200  # scenarios that are in memory at once
# No scenario has more on a broker than this one: every topic, every lane, every dead-letter topic.
LARGEST = Scenario(
    topics=(Topic(partitions=max(strategies.PARTITIONS)),) * max(strategies.TOPICS),
    groups=(Group(policy=Policy(max_attempts=1)),) * max(strategies.GROUPS),
)


class MalformedRun(EventproofError):
    """The suite's own recorder broke a history (H1): no verdict can be given."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run to be made. budget: seconds for making all counterexamples smaller. keep: which scenarios
    and histories to save. claims: from what the adapter claims to what is judged. guest: for a run on
    a server that is not ours."""

    plugin: Plugin
    tier: str = "core"
    count: int = 200
    seed: int = 1
    guest: Guest | None = None
    options: Mapping[str, Any] = {}
    claims: Callable[[Claims], Claims] = lambda claims: claims
    profiles: tuple[str, ...] = ()
    folder: Path = Path("reports")
    keep: Literal["all", "failed"] = "all"
    budget: float = 60.0


def run(plan: Plan, watcher: Watcher) -> Report:
    """Run the suite on a broker; everything is saved in the plan's folder. Raises EventproofError."""
    for folder in ("scenarios", "histories", "counterexamples"):
        (plan.folder / folder).mkdir(parents=True, exist_ok=True)
    started = clock.now().isoformat(timespec="seconds")  # here: a stage may have a clock of its own
    return run_on(plan.plugin.facilities.clock, lambda: _run(plan, started, watcher))


async def _run(plan: Plan, started: str, watcher: Watcher) -> Report:
    passed, found, counts = clock.stopwatch(), dict[str, Total](), Counts()
    failing: dict[tuple[str, str], list[Case]] = {}
    async with stage(
        plan.plugin, name=f"eventproof-{plan.seed}", url=None, options=plan.options, claims=plan.claims,
        guest=plan.guest,
    ) as on:  # fmt: skip
        codes = decisive(requirements, on.site.claims)
        able = on.faults if plan.tier == FAULT else frozenset[str]()
        for chunk in _chunks(plan, on.site.offered, able, watcher):
            cases = await _cases(on, chunk, watcher)
            _save(plan, cases, codes)
            totals(((case.number, case.findings) for case in cases), found)
            count((case.history for case in cases), (case.scenario for case in cases), counts)
            _keep_smallest(cases, codes, failing)
            if on.allowance.ended:
                break
        judged = verdicts(requirements, on.site.claims, found, _means(plan, able))
        examples = await explain(judged, failing, on, plan.folder, plan.budget, watcher)
        states = _complete(profile_states(judged, on.site.claims, plan.profiles), on)
        report = Report(
            target=plan.plugin.name, tier=plan.tier, seed=plan.seed, started=started,
            seconds=round(passed(), 1), versions=on.site.versions, options=on.site.configuration,
            claims=on.site.claims, counts=counts, verdicts=judged, counterexamples=examples,
            visit=_visited(plan, on), profiles=states,
            reasons=_reasons(profile_reasons(judged, on.site.claims, states), on),
        )  # fmt: skip
        save(report, plan.folder)  # before the stage ends: what it leaves behind must not cost the report
    return report


def _visited(plan: Plan, on: Stage) -> Visited | None:
    if plan.guest is None or on.terms is None:
        return None
    return Visited(
        url=redacted(plan.guest.visit.url), namespace=plan.guest.visit.namespace, planned=plan.count,
        caps=plan.guest.visit.caps, at_once=on.terms.at_once, notes=on.terms.notes, ended=on.allowance.ended,
        removed=plan.plugin.facilities.remove is not None,
    )  # fmt: skip


def _complete(states: Mapping[str, ProfileState], on: Stage) -> Mapping[str, ProfileState]:
    """No profile is conformant by what a cap kept from being tried."""
    if not on.allowance.ended:
        return states
    return {name: "partial" if state == "conformant" else state for name, state in states.items()}


def _reasons(found: Mapping[str, str], on: Stage) -> Mapping[str, str]:
    """Of each profile that is not conformant also the cap that was reached."""
    if not on.allowance.ended:
        return found
    return {name: "; ".join(filter(None, (reason, on.allowance.ended))) for name, reason in found.items()}


def _chunks(
    plan: Plan, offered: Claims, able: frozenset[str], watcher: Watcher
) -> Iterator[list[tuple[int, Scenario]]]:
    """Numbered scenarios that fit what the adapter offers and the faults that can be made, so many at a time
    that a long run needs no more memory than a short one."""
    led = strategies.LED[plan.plugin.facilities.clock] if able else 0
    for first in range(0, plan.count, CHUNK):
        size = min(CHUNK, plan.count - first)
        watcher.phase("drawing scenarios", 1)
        drawn = strategies.generate(size, plan.seed + first, led=led, before=first)
        watcher.step()
        if _lacks_large(plan):
            drawn = [without_oversize(scenario) for scenario in drawn]
        yield list(enumerate((fit(bearable(scenario, able), offered) for scenario in drawn), first + 1))


async def _cases(on: Stage, chunk: list[tuple[int, Scenario]], watcher: Watcher) -> list[Case]:
    watcher.phase("running scenarios", len(chunk))
    scenarios = [scenario for _, scenario in chunk]
    histories = await on.run(scenarios, watcher.step)
    batch = dict(_led(on.batches(scenarios)))
    watcher.phase("judging histories", len(chunk))
    cases = []
    for place, history in enumerate(histories):
        number, scenario = chunk[place]
        cases.append(Case(number, scenario, history, judge(history), batch.get(place, ())))
        watcher.step()
    return cases


def _led(batches: Sequence[Batch]) -> Iterator[tuple[int, tuple[Scenario, ...]]]:
    """For each scenario that met a fault of the broker with others: its place, and all of them."""
    for batch in batches:
        together = tuple(scenario for _, scenario in batch)
        if len(together) > 1 and together[0].broker_faults:
            yield from ((place, together) for place, _ in batch)


def _keep_smallest(cases: list[Case], codes: frozenset[str], into: dict[tuple[str, str], list[Case]]) -> None:
    """Remember the smallest few cases of each anomaly that breaks a claim, and of each with each fault."""
    for case in cases:
        if not codes & case.shown:
            continue
        met = msgspec.structs.replace(case, scenario=as_met(case.scenario, case.history))
        for finding in case.findings:
            if finding.code in codes and finding.count:
                for fault in {"", *(fault for v in finding.violations for fault in v.faults)}:
                    kept = into.setdefault((finding.code, fault), [])
                    kept.append(met)
                    kept.sort(key=lambda one: one.scenario.operations)
                    del kept[TRIED:]


def _save(plan: Plan, cases: list[Case], codes: frozenset[str]) -> None:
    """Keep what was asked for; a malformed history is always kept, and ends the run."""
    for case in cases:
        if plan.keep == "all" or codes & case.shown:
            met = as_met(case.scenario, case.history)
            save_case(met, case.history, plan.folder, f"{case.number:05}")
        if case.shows("H1"):
            detail = next(v.message for f in case.findings if f.code == "H1" for v in f.violations)
            raise MalformedRun(
                f"the suite's recorder broke history {case.number}: {detail} (saved in {plan.folder})"
            )


def _means(plan: Plan, able: frozenset[str]) -> Means:
    offered = plan.plugin.facilities
    names = {name for name in ("read_log", "positions") if getattr(offered, name) is None}
    if _lacks_large(plan):
        names.add(LARGE)
    if plan.tier != FAULT:
        return Means(frozenset(names))
    return Means(frozenset(names), able, "a server of its own" if plan.guest else "a target that can")


def _lacks_large(plan: Plan) -> bool:
    return plan.guest is not None and not plan.guest.visit.caps.large
