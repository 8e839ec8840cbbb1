"""The rules against the definitions read aloud, and what must not change their findings."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from eventproof.conformance.history.record import History, Record
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.rules.rule import STORED, Violation
from tests.conformance.histories import Story
from tests.conformance.rules.naive import Naive, Occurrences
from tests.conformance.rules.random_histories import histories

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def by_group_and_first_call(violation: Violation) -> tuple[object, ...]:
    return violation.group, violation.calls[0]


def by_last_call(violation: Violation) -> tuple[object, ...]:
    return (violation.calls[-1],)


def by_last_record(violation: Violation) -> tuple[object, ...]:
    return (violation.records[-1],)


Compared = tuple[Callable[[Naive], Occurrences], Callable[[Violation], tuple[object, ...]]]
COMPARED: dict[str, Compared] = {
    "B2": (Naive.b2, by_group_and_first_call),
    "B3": (Naive.b3, by_group_and_first_call),
    "C1": (Naive.c1, by_last_record),
    "C2": (Naive.c2, by_last_record),
    "C3": (Naive.c3, by_last_record),
    "C5": (Naive.c5, by_last_call),
    "C6": (Naive.c6, by_last_call),
    "D1": (Naive.d1, by_group_and_first_call),
    "D2": (Naive.d2, by_last_record),
    "D3": (Naive.d3, by_group_and_first_call),
    "E3": (Naive.e3, by_last_record),
    "F1": (Naive.f1, by_last_record),
}


@given(history=histories())
@settings(QUICK, max_examples=500)
def test_rules_find_what_the_definitions_say(history: History) -> None:
    findings = {f.code: f for f in judge(history)}
    naive = Naive(history)
    assert findings["H1"].count == 0
    for code, (search, identity) in COMPARED.items():
        expected, finding = search(naive), findings[code]
        event(f"{code} {'found' if expected else 'clean'}")
        assert finding.count == len(expected), (code, expected, finding)
        if finding.count <= STORED:
            assert {identity(v) for v in finding.violations} == expected, code
    assert findings["C10"].count == len(naive.c10())


def counts(history: History) -> dict[str, int]:
    return {f.code: f.count for f in judge(history)}


@given(history=histories(), names=st.permutations(["k", "l"]))
@QUICK
def test_the_names_of_keys_do_not_matter(history: History, names: list[str]) -> None:
    renamed = dict(zip(["k", "l"], names, strict=True))
    records = [msgspec.structs.replace(r, key=renamed.get(r.key, r.key)) for r in history.records]
    assert counts(History(history.header, records)) == counts(history)


@given(history=histories(), data=st.data())
@QUICK
def test_unseen_indeterminate_publishes_never_add_a_violation(history: History, data: st.DataObject) -> None:
    """B7 counts what is not settled; nothing unseen and indeterminate is owed, so it is compared too."""
    before = counts(history)
    records = list(history.records)
    for number in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(records)))
        t = records[at - 1].t if at else 0
        call, key = 1000 + number, data.draw(st.sampled_from(["", "k", "l"]))
        named = data.draw(st.sampled_from([f"s {call}", "s 1"]))
        invoke = Record(
            i=0,
            t=t,
            kind="publish.invoke",
            process="p",
            topic="t",
            call=call,
            event=named,
            type="a.b",
            key=key,
        )
        done = [Record(i=0, t=t, kind="publish.indeterminate", call=call)] if data.draw(st.booleans()) else []
        records[at:at] = [invoke, *done]
    grown = [msgspec.structs.replace(r, i=i) for i, r in enumerate(records, 1)]
    after = counts(History(history.header, grown))
    assert all(after[code] <= before[code] for code in before), (before, after)


@pytest.mark.timeout(20)
def test_no_rule_compares_all_with_all() -> None:
    """Everything of one key is handed out again and again in two sessions and never settled. That takes a
    second; with one quadratic rule it takes minutes."""
    told = Story()
    sessions = told.join(), told.join()
    calls = [told.publish("k") for _ in range(4000)]
    for _ in range(3):
        for call in calls:
            told.deliver(sessions[call % 2], call)
    assert counts(told.history())["C10"] == 4000
