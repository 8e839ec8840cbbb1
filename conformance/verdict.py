"""From what the rules found in many histories to one verdict per requirement, and one state per profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.conformance.rules.rule import Finding, Under, Violation
from eventproof.spec import Requirement

State = Literal["pass", "fail", "hang", "inconclusive", "not claimed", "not checked"]

STUCK = frozenset({"L1", "L2", "P4"})
SEEN_BY_LOG = {"C4": "read_log", "C7": "read_log", "B4": "positions"}
LARGE = "--allow-large"  # what a run on a server that is not ours may lack too
REFUSED = "A2"  # needs publishes that are refused, as one is that is too large
OF_THE_SUITE = frozenset({"H1", "H2"})  # say nothing about a broker
KEPT = 20  # violations kept per anomaly; all are counted


class Total(msgspec.Struct):
    """What was found of one anomaly over all histories. shown: (number of the scenario, violation)."""

    exercised: int = 0
    void: int = 0
    count: int = 0
    shown: list[tuple[int, Violation]] = []
    under: dict[str, Under] = {}

    def add(self, scenario: int, finding: Finding) -> None:
        self.exercised += finding.exercised
        self.void += finding.void
        self.count += finding.count
        for fault, part in finding.under.items():
            total = self.under.setdefault(fault, Under())
            total.exercised += part.exercised
            total.count += part.count
        self.shown += [(scenario, violation) for violation in finding.violations[: KEPT - len(self.shown)]]


class Means(msgspec.Struct, frozen=True):
    """What a run has to judge by. lacking: facilities that it has not. faults: those that it makes.
    more: what another run would need for the others."""

    lacking: frozenset[str] = frozenset()
    faults: frozenset[str] = frozenset()
    more: str = "--tier fault"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement of one requirement.

    exercised: how often what it guards occurred, of `minimum`; under faults with each of `faults` at least.
    void: judgements too close to call. violations: how many in all. scenarios: numbers of scenarios that
    show one. evidence: a sentence.
    """

    requirement: str
    title: str
    level: str
    profile: str
    state: State
    exercised: int
    minimum: int
    faults: tuple[str, ...] = ()
    void: int = 0
    violations: int = 0
    scenarios: tuple[int, ...] = ()
    anomalies: tuple[str, ...] = ()
    evidence: str = ""


def totals(findings: Iterable[tuple[int, Iterable[Finding]]], into: dict[str, Total]) -> None:
    """Add the findings of histories, each with the number of its scenario, by anomaly."""
    for scenario, of_one in findings:
        for finding in of_one:
            into.setdefault(finding.code, Total()).add(scenario, finding)


def decisive(requirements: Iterable[Requirement], claims: Claims) -> frozenset[str]:
    """The anomalies that break something claimed, and H1, which breaks the run."""
    claimed = msgspec.to_builtins(claims)
    binding = (one for one in requirements if one.status == "active" and one.applies(claimed))
    return frozenset({"H1", *(code for one in binding for code in one.anomalies)})


def verdicts(
    requirements: Iterable[Requirement], claims: Claims, found: Mapping[str, Total], means: Means
) -> tuple[Verdict, ...]:
    """One verdict for each requirement that runs decide."""
    claimed = msgspec.to_builtins(claims)
    return tuple(
        _verdict(requirement, claimed, found, means)
        for requirement in requirements
        if requirement.status == "active" and set(requirement.anomalies) - OF_THE_SUITE
    )


class _Seen(msgspec.Struct, frozen=True):
    """Of one anomaly, what counts for one requirement."""

    code: str
    exercised: int
    count: int
    scenarios: frozenset[int]


def _verdict(
    requirement: Requirement, claimed: Mapping[str, Any], found: Mapping[str, Total], means: Means
) -> Verdict:
    tried = requirement.tried(claimed) or requirement.faults
    totals = [found.get(code, Total()) for code in requirement.anomalies]
    pairs = zip(requirement.anomalies, totals, strict=True)
    seen = [_under(code, total, tried) if tried else _whole(code, total) for code, total in pairs]
    exercised = _exercised(totals, tried) if tried else max(one.exercised for one in seen)
    broken = tuple(one.code for one in seen if one.count)
    missing = _missing(requirement, exercised, tried, means)
    state = _state(requirement, claimed, broken, exercised, bool(missing))
    return Verdict(
        requirement=requirement.id,
        title=requirement.title,
        level=requirement.level,
        profile=requirement.profile,
        state=state,
        exercised=exercised,
        minimum=requirement.exercise,
        faults=tried,
        void=sum(total.void for total in totals),
        violations=sum(one.count for one in seen),
        scenarios=tuple(sorted(frozenset().union(*(one.scenarios for one in seen)))),
        anomalies=broken,
        evidence=_evidence(state, requirement, exercised, broken, missing),
    )


def _whole(code: str, total: Total) -> _Seen:
    return _Seen(code, total.exercised, total.count, frozenset(scenario for scenario, _ in total.shown))


def _under(code: str, total: Total, tried: Sequence[str]) -> _Seen:
    """What of it had one of the faults in between."""
    parts = [total.under[fault] for fault in tried if fault in total.under]
    shown = frozenset(scenario for scenario, violation in total.shown if set(tried) & set(violation.faults))
    return _Seen(code, 0, sum(part.count for part in parts), shown)


def _exercised(totals: Sequence[Total], tried: Sequence[str]) -> int:
    """With the fault that occurred least often; of the codes, by the one that was exercised most."""
    return min(max(total.under.get(fault, Under()).exercised for total in totals) for fault in tried)


def _missing(requirement: Requirement, exercised: int, tried: Sequence[str], means: Means) -> Sequence[str]:
    """What the requirement needs and the run has not."""
    seen_by = {SEEN_BY_LOG[code] for code in requirement.anomalies if code in SEEN_BY_LOG and not tried}
    found = [f"{name} of the target" for name in sorted(seen_by & means.lacking)]
    small = LARGE in means.lacking and REFUSED in requirement.anomalies and not tried
    if small and exercised < requirement.exercise:
        found.append(LARGE)
    unmade = [fault for fault in tried if fault not in means.faults]
    return [*found, f"{means.more} for {', '.join(unmade)}"] if unmade else found


def _state(
    requirement: Requirement,
    claimed: Mapping[str, Any],
    broken: Sequence[str],
    exercised: int,
    missing: bool,
) -> State:
    """Violations first, then a hang, then too little exercise, then a pass (CNF-001, CNF-002, CNF-003)."""
    if not requirement.applies(claimed):
        return "not claimed"
    if broken:
        return "hang" if STUCK.issuperset(broken) else "fail"
    if missing:
        return "not checked"
    return "pass" if exercised >= requirement.exercise else "inconclusive"


def _evidence(
    state: State, requirement: Requirement, exercised: int, broken: Sequence[str], missing: Sequence[str]
) -> str:
    if state == "not claimed":
        kept = f"observed: kept {exercised} times" if exercised else "not observed"
        return f"observed: {', '.join(broken)}" if broken else kept
    if broken:
        return ", ".join(broken)
    if missing:
        return f"needs {' and '.join(missing)}"
    if state == "inconclusive":
        return f"exercised {exercised} of {requirement.exercise} times"
    return f"exercised {exercised} times"
