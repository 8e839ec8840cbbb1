"""From what the rules found in many histories to one verdict per requirement, and one state per profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.conformance.rules.rule import Finding, Violation
from eventproof.spec import Conditions, Requirement, holds

State = Literal["pass", "fail", "hang", "inconclusive", "not claimed", "not checked"]
ProfileState = Literal["conformant", "partial", "failed", "not claimed", "not checked"]

STUCK = frozenset({"L1", "L2", "P4"})
SEEN_BY_LOG = {"C4": "read_log", "C7": "read_log", "B4": "positions"}
LARGE, RESTART = "--allow-large", "restart"  # what a run on a server that is not ours may lack too
REFUSED = "A2"  # needs publishes that are refused, as one is that is too large
OF_THE_SUITE = frozenset({"H1", "H2"})  # say nothing about a broker
KEPT = 20  # violations kept per anomaly; all are counted

# What an adapter has to claim before a profile means anything; any one set of several is enough.
PROFILES: Mapping[str, Sequence[Conditions]] = {
    "core": ({"loss": ("never",), "duplicates": ("permitted", "never")},),
    "ordered": ({"ordering.scope": ("key", "topic")},),
    "dedup": ({"publish_dedup.scope": ("topic", "key")}, {"consume_dedup.scope": ("topic", "key")}),
    "retry": (
        {
            "redelivery.nack": (True,),
            "dead_letter": ("at-least-one", "one-without-faults", "one-across-crash"),
        },
    ),
    "groups": ({"groups": ("durable",)},),
    "replay": ({"replay": ("earliest",)},),
    "durable": ({"survives.messages": ("broker-kill", "power-loss", "node-loss", "all-nodes")},),
}
LESS: Mapping[str, str] = {
    "loss": "the broker may lose events",
    "duplicates": "events may come again any time",
}
NAMED = 3  # requirements that a reason names; the report lists all


class Total(msgspec.Struct):
    """What was found of one anomaly over all histories. shown: (number of the scenario, violation)."""

    exercised: int = 0
    void: int = 0
    count: int = 0
    shown: list[tuple[int, Violation]] = []

    def add(self, scenario: int, finding: Finding) -> None:
        self.exercised += finding.exercised
        self.void += finding.void
        self.count += finding.count
        self.shown += [(scenario, violation) for violation in finding.violations[: KEPT - len(self.shown)]]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement of one requirement.

    exercised: how often what it guards occurred, of `minimum`. void: judgements too close to call.
    violations: how many in all. scenarios: numbers of scenarios that show one. evidence: a sentence.
    """

    requirement: str
    title: str
    level: str
    profile: str
    state: State
    exercised: int
    minimum: int
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
    requirements: Iterable[Requirement],
    claims: Claims,
    found: Mapping[str, Total],
    *,
    lacking: frozenset[str] = frozenset(),
) -> tuple[Verdict, ...]:
    """One verdict for each requirement that runs decide. lacking: facilities that the run has not."""
    claimed = msgspec.to_builtins(claims)
    return tuple(
        _verdict(requirement, requirement.applies(claimed), found, lacking)
        for requirement in requirements
        if requirement.status == "active" and set(requirement.anomalies) - OF_THE_SUITE
    )


def _verdict(
    requirement: Requirement, claimed: bool, found: Mapping[str, Total], lacking: frozenset[str]
) -> Verdict:
    of_codes = [found.get(code, Total()) for code in requirement.anomalies]
    exercised = max(total.exercised for total in of_codes)
    shown = [scenario for total in of_codes for scenario, _ in total.shown]
    broken = tuple(code for code, total in zip(requirement.anomalies, of_codes, strict=True) if total.count)
    missing = _missing(requirement, exercised, lacking)
    state = _state(requirement, claimed, broken, exercised, bool(missing))
    return Verdict(
        requirement=requirement.id,
        title=requirement.title,
        level=requirement.level,
        profile=requirement.profile,
        state=state,
        exercised=exercised,
        minimum=requirement.exercise,
        void=sum(total.void for total in of_codes),
        violations=sum(total.count for total in of_codes),
        scenarios=tuple(sorted(set(shown))),
        anomalies=broken,
        evidence=_evidence(state, requirement, exercised, broken, missing),
    )


def _missing(requirement: Requirement, exercised: int, lacking: frozenset[str]) -> Sequence[str]:
    """What the requirement needs and the run has not."""
    seen_by = {SEEN_BY_LOG[code] for code in requirement.anomalies if code in SEEN_BY_LOG}
    found = [f"{name} of the target" for name in sorted(seen_by & lacking)]
    if LARGE in lacking and REFUSED in requirement.anomalies and exercised < requirement.exercise:
        found.append(LARGE)
    if RESTART in lacking and requirement.verify == "fault":
        found.append("a server of its own")
    return found


def _state(
    requirement: Requirement, claimed: bool, broken: Sequence[str], exercised: int, missing: bool
) -> State:
    """Violations first, then a hang, then too little exercise, then a pass (CNF-001, CNF-002, CNF-003)."""
    if not claimed:
        return "not claimed"
    if broken:
        return "hang" if STUCK.issuperset(broken) else "fail"
    if missing or requirement.verify == "fault":
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
    if state == "not checked":
        return "needs faults, which no tier makes yet"
    if state == "inconclusive":
        return f"exercised {exercised} of {requirement.exercise} times"
    return f"exercised {exercised} times"


def profile_states(
    found: Iterable[Verdict], claims: Claims, selected: Iterable[str]
) -> dict[str, ProfileState]:
    """The state of each selected profile (CNF-007). Core is mandatory: unclaimed, it is partial."""
    claimed = msgspec.to_builtins(claims)
    judged = _by_profile(found, selected)
    return {
        profile: _profile(profile, {verdict.state for verdict in verdicts}, claimed)
        for profile, verdicts in judged.items()
    }


def profile_reasons(
    found: Iterable[Verdict], claims: Claims, states: Mapping[str, ProfileState]
) -> dict[str, str]:
    """Why a profile is not conformant, in a sentence without a full stop; one that is has none."""
    claimed = msgspec.to_builtins(claims)
    judged = _by_profile(found, states)
    return {
        profile: "; ".join(_reasons(profile, state, judged[profile], claimed))
        for profile, state in states.items()
        if state != "conformant"
    }


def _by_profile(found: Iterable[Verdict], selected: Iterable[str]) -> dict[str, list[Verdict]]:
    """The verdicts on what is mandatory in each selected profile."""
    judged: dict[str, list[Verdict]] = {profile: [] for profile in selected}
    for verdict in found:
        if verdict.profile in judged and verdict.level.startswith("MUST"):
            judged[verdict.profile].append(verdict)
    return judged


def _profile(profile: str, states: AbstractSet[State], claimed: Mapping[str, Any]) -> ProfileState:
    if {"fail", "hang"} & states:
        return "failed"
    if not _claims(profile, claimed):
        return "partial" if profile == "core" else "not claimed"
    if profile != "core" and "not checked" in states <= {"not checked", "not claimed"}:
        return "not checked"
    return "partial" if {"inconclusive", "not checked"} & states else "conformant"


def _claims(profile: str, claimed: Mapping[str, Any]) -> bool:
    return any(holds(needs, claimed) for needs in PROFILES[profile])


def _reasons(
    profile: str, state: ProfileState, judged: Sequence[Verdict], claimed: Mapping[str, Any]
) -> Iterator[str]:
    if state == "not claimed":
        yield f"needs {' or '.join(' and '.join(_unclaimed(needs, claimed)) for needs in PROFILES[profile])}"
        return
    if state == "not checked":
        yield from dict.fromkeys(verdict.evidence for verdict in judged if verdict.state == state)
        return
    if state == "partial" and not _claims(profile, claimed):
        for claim in _unclaimed(PROFILES[profile][0], claimed):
            yield f"{claim} is not claimed: {LESS[claim.partition('=')[0]]}"
    for blamed in ("fail", "hang") if state == "failed" else ("inconclusive", "not checked"):
        names = [verdict.requirement for verdict in judged if verdict.state == blamed]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        if names:
            yield f"{blamed}: {', '.join(names[:NAMED])}{more}"


def _unclaimed(needs: Conditions, claimed: Mapping[str, Any]) -> list[str]:
    """What is missing of a set of claims, each with the weakest value that is enough."""
    missing = [(path, values) for path, values in needs.items() if not holds({path: values}, claimed)]
    return [f"{path}={str(values[0]).lower()}" for path, values in missing]
