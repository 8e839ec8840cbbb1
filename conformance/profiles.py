"""From verdicts to one state per profile, and the reason for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.conformance.verdict import Verdict
from eventproof.spec import Conditions, holds

ProfileState = Literal[
    "conformant", "conformant without faults", "partial", "failed", "not claimed", "not checked"
]

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


def profile_states(
    found: Iterable[Verdict], claims: Claims, selected: Iterable[str]
) -> dict[str, ProfileState]:
    """The state of each selected profile (CNF-007). Core is mandatory: unclaimed, it is partial."""
    claimed = msgspec.to_builtins(claims)
    judged = _by_profile(found, selected)
    return {profile: _profile(profile, verdicts, claimed) for profile, verdicts in judged.items()}


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


def _profile(profile: str, judged: Sequence[Verdict], claimed: Mapping[str, Any]) -> ProfileState:
    states = {verdict.state for verdict in judged}
    if {"fail", "hang"} & states:
        return "failed"
    if not _claims(profile, claimed):
        return "partial" if profile == "core" else "not claimed"
    if profile != "core" and "not checked" in states <= {"not checked", "not claimed"}:
        return "not checked"
    if "inconclusive" in states or any(v.state == "not checked" and not v.faults for v in judged):
        return "partial"
    return "conformant without faults" if "not checked" in states else "conformant"


def _claims(profile: str, claimed: Mapping[str, Any]) -> bool:
    return any(holds(needs, claimed) for needs in PROFILES[profile])


def _reasons(
    profile: str, state: ProfileState, judged: Sequence[Verdict], claimed: Mapping[str, Any]
) -> Iterator[str]:
    if state == "not claimed":
        yield f"needs {' or '.join(' and '.join(_unclaimed(needs, claimed)) for needs in PROFILES[profile])}"
        return
    if state in {"not checked", "conformant without faults"}:
        yield from _needs(judged)
        return
    if state == "partial" and not _claims(profile, claimed):
        for claim in _unclaimed(PROFILES[profile][0], claimed):
            yield f"{claim} is not claimed: {LESS[claim.partition('=')[0]]}"
    for blamed in ("fail", "hang") if state == "failed" else ("inconclusive", "not checked"):
        names = [verdict.requirement for verdict in judged if verdict.state == blamed]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        if names:
            yield f"{blamed}: {', '.join(names[:NAMED])}{more}"


def _needs(judged: Sequence[Verdict]) -> Iterator[str]:
    """What the requirements need that were not checked, the faults of all of them in one sentence."""
    faults: dict[str, dict[str, None]] = {}
    for verdict in judged:
        if verdict.state == "not checked":
            needs, _, of = verdict.evidence.partition(" for ")
            faults.setdefault(needs, {}).update(dict.fromkeys(of.split(", ") if of else ()))
    for needs, of_all in faults.items():
        yield f"{needs} for {', '.join(of_all)}" if of_all else needs


def _unclaimed(needs: Conditions, claimed: Mapping[str, Any]) -> list[str]:
    """What is missing of a set of claims, each with the weakest value that is enough."""
    missing = [(path, values) for path, values in needs.items() if not holds({path: values}, claimed)]
    return [f"{path}={str(values[0]).lower()}" for path, values in missing]
