"""Each requirement has a rule and a broken broker, each rule and each broken broker a requirement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import pytest

from eventproof.adapters.claims import Claims
from eventproof.conformance.mutants import MUTANTS, Mutant
from eventproof.conformance.rules import RULES
from eventproof.conformance.rules.rule import Rule
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.selftest import plugin
from eventproof.spec import Requirement, requirements
from eventproof.spec.__main__ import HERE
from eventproof.spec.parse import read, table
from eventproof.spec.vocabulary import SOURCE
from tests.conformance.brokers import run

ACTIVE = tuple(one for one in requirements if one.status == "active")
UNDECIDED = {"inspection", "none"}
SHARE = 0.15
NO_REQUIREMENT = {"B7": "never a failure: it says what no drain proved"}
NO_RULE = {"H2": "what was not exercised is seen by the verdict, over all histories"}
NO_MUTANT = {"H1": "no broker can break a history", **NO_REQUIREMENT}
NOT_BROKEN: Mapping[str, str] = {}


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """What has to fit together. claims: of each mutant, by its name."""

    requirements: tuple[Requirement, ...] = ACTIVE
    rules: tuple[Rule, ...] = RULES
    mutants: tuple[Mutant, ...] = MUTANTS
    claims: Mapping[str, Claims]


@cache
def claimed() -> Mapping[str, Claims]:
    """What each mutant claims, as its own history says."""
    return {
        one.name: run([Scenario()], plugin(one), one.claims, **one.options)[0].header.claims
        for one in MUTANTS
    }


def gaps(traced: Traced) -> list[str]:
    """Everything that leads nowhere, and every exception that is none any more; a sentence each."""
    return [*_codes(traced), *_breakers(traced), *_decided(traced)]


def _codes(traced: Traced) -> Iterator[str]:
    rules = {rule.code for rule in traced.rules}
    named = {code for one in traced.requirements for code in one.anomalies}
    killed = {mutant.anomaly for mutant in traced.mutants}
    yield from differing(rules - named, NO_REQUIREMENT, "decides no requirement")
    yield from differing(named - rules, NO_RULE, "is looked for by no rule")
    yield from differing(rules - killed, NO_MUTANT, "is shown by no mutant")
    yield from (
        f"{mutant.name} breaks no requirement" for mutant in traced.mutants if mutant.anomaly not in named
    )


def _breakers(traced: Traced) -> Iterator[str]:
    """Requirements that runs decide, and that no mutant breaks although it claims to keep them."""
    whole = {
        one.id
        for one in traced.requirements
        if one.verify not in {"sampled", "fault"}
        or any(_breaks(traced, mutant, one) for mutant in traced.mutants)
    }
    yield from differing(
        {one.id for one in traced.requirements} - whole, NOT_BROKEN, "is broken by no mutant"
    )


def _breaks(traced: Traced, mutant: Mutant, one: Requirement) -> bool:
    """Whether it claims to keep it, and breaks it: what is tried under faults, with one of those."""
    claims = msgspec.to_builtins(traced.claims[mutant.name])
    tried = one.verify != "fault" or mutant.fault in one.tried(claims)
    return mutant.anomaly in one.anomalies and tried and one.applies(claims)


def _decided(traced: Traced) -> Iterator[str]:
    """Every mandatory requirement has what decides it, and few are left to a reader."""
    mandatory = [one for one in traced.requirements if one.mandatory]
    for one in mandatory:
        if not (one.anomalies or one.whynone or one.verify == "deterministic"):
            yield f"{one.id} is decided by nothing"
    open_ones = [one.id for one in mandatory if one.verify in UNDECIDED]
    if len(open_ones) > SHARE * len(mandatory):
        yield f"{len(open_ones)} of {len(mandatory)} mandatory requirements are decided by no test"


def differing(found: set[str], expected: Mapping[str, str], what: str) -> Iterator[str]:
    yield from (f"{name} {what}" for name in sorted(found - expected.keys()))
    yield from (f"{name} is an exception, and no longer {what}" for name in sorted(expected.keys() - found))


def without(field: str, name: str) -> Mapping[str, Any]:
    """One of the parts with a member taken out."""
    kept = {
        "requirements": tuple(one for one in ACTIVE if one.id != name),
        "rules": tuple(rule for rule in RULES if rule.code != name),
        "mutants": tuple(mutant for mutant in MUTANTS if mutant.anomaly != name),
    }
    return {field: kept[field]}


def changed(name: str, **fields: Any) -> Mapping[str, Any]:
    """The requirements with one of them changed; of all with "" for a name."""
    return {
        "requirements": tuple(
            msgspec.structs.replace(one, **fields) if name in {one.id, ""} else one for one in ACTIVE
        )
    }


def test_nothing_leads_nowhere() -> None:
    assert gaps(Traced(claims=claimed())) == []


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (without("requirements", "PUB-001"), "A1 decides no requirement"),
        (without("requirements", "PUB-001"), "InventsEvents breaks no requirement"),
        (without("rules", "A1"), "A1 is looked for by no rule"),
        (without("rules", "B7"), "B7 is an exception, and no longer decides no requirement"),
        (without("mutants", "A1"), "A1 is shown by no mutant"),
        (without("mutants", "A1"), "PUB-001 is broken by no mutant"),
        (changed("PUB-001", when={"loss": ("may",)}, anomalies=("B2",)), "PUB-001 is broken by no mutant"),
        (changed("CNF-004", anomalies=("A1",), verify="deterministic"), "H1 decides no requirement"),
        (changed("ORD-003", anomalies=()), "ORD-003 is decided by nothing"),
        (changed("", verify="none"), f"{len(ACTIVE)} of {len(ACTIVE)} mandatory requirements are decided by"),
    ],
)
def test_a_gap_is_found(broken: Mapping[str, Any], says: str) -> None:
    assert [gap for gap in gaps(Traced(claims=claimed(), **broken)) if gap.startswith(says)]


def test_the_table_of_anomalies_names_them_as_the_rules_do() -> None:
    (source,) = (one for one in read(HERE) if one.name == SOURCE)
    written = {row[0]: row[1] for row in table(source, "Anomalies")}
    assert {code: name for code, name in written.items() if code not in NO_RULE} == {
        rule.code: rule.name for rule in RULES
    }


def test_every_code_is_of_one_rule() -> None:
    codes: Sequence[str] = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes)
