"""Delta debugging finds what cannot be made smaller, and every step on the way is a scenario."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventproof.conformance.history.record import History
from eventproof.conformance.minimise.ddmin import ddmin
from eventproof.conformance.minimise.history import essential
from eventproof.conformance.minimise.parts import Unit, restrict, simpler, units
from eventproof.conformance.minimise.scenario import WIDTH, minimise
from eventproof.conformance.mutants import MUTANTS
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.rules.rule import Violation
from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Consumer,
    Group,
    Payload,
    Policy,
    Publish,
    Scenario,
    Topic,
    inconsistencies,
)
from eventproof.conformance.selftest import plugin
from eventproof.conformance.strategies import generate, scenarios
from tests.conformance.brokers import run
from tests.conformance.histories import Story


def smallest(units: Sequence[int], shows: Callable[[list[int]], bool]) -> list[int]:
    """Drive ddmin to its end with a predicate."""
    search = ddmin(units)
    try:
        candidates = next(search)
        while True:
            candidates = search.send(next((n for n, c in enumerate(candidates) if shows(c)), None))
    except StopIteration as done:
        return list(done.value)


# ddmin

SIZE = st.integers(min_value=1, max_value=40)


@settings(max_examples=300, deadline=None)
@given(SIZE, st.data())
def test_ddmin_of_a_monotone_predicate_finds_exactly_the_needed_units(size: int, data: Any) -> None:
    needed = set(data.draw(st.lists(st.integers(0, size - 1), max_size=6)))
    assert smallest(range(size), lambda kept: needed <= set(kept)) == sorted(needed)


@settings(max_examples=300, deadline=None)
@given(SIZE, st.randoms(use_true_random=False), st.integers(2, 7))
def test_ddmin_of_any_predicate_is_one_minimal(size: int, random: Any, modulus: int) -> None:
    weights = [random.randrange(100) for _ in range(size)]

    def shows(kept: list[int]) -> bool:
        return len(kept) == size or (sum(weights[n] for n in kept) % modulus == 0 and bool(kept))

    found = smallest(range(size), shows)
    assert shows(found)
    assert found == sorted(set(found))
    assert not any(shows([unit for unit in found if unit != left]) for left in found)


def test_ddmin_tries_nothing_of_nothing() -> None:
    assert smallest([], lambda kept: True) == []


def test_ddmin_tries_only_parts_and_keeps_their_order() -> None:
    seen: list[list[int]] = []

    def shows(kept: list[int]) -> bool:
        seen.append(kept)
        return {3, 11} <= set(kept)

    assert smallest(range(16), shows) == [3, 11]
    assert all(kept == sorted(set(kept)) for kept in seen)
    assert len(seen) < 120


# what can be left out of a scenario


@pytest.mark.parametrize("seed", range(4))
def test_any_part_of_a_scenario_is_a_scenario(seed: int) -> None:
    random = Random(seed)
    for scenario in generate(50, seed):
        judge_part(scenario, random)


def judge_part(scenario: Scenario, random: Random) -> None:
    everything = units(scenario)
    assert len(set(everything)) == len(everything)
    kept = [unit for unit in everything if random.random() < 0.6]
    part = restrict(scenario, kept)
    assert not inconsistencies(part)
    assert part.operations <= scenario.operations
    calls = {unit.a for unit in kept if unit.kind == "publish"}
    assert {step.call for step in part.publishes} == calls


@settings(max_examples=40, deadline=None)
@given(scenarios())
def test_all_units_are_the_whole_scenario_and_none_are_nothing(scenario: Scenario) -> None:
    whole = restrict(scenario, units(scenario))
    assert (whole.groups, whole.behaviours) == (scenario.groups, scenario.behaviours)
    assert whole.publishers == tuple(filter(None, scenario.publishers))
    nothing = restrict(scenario, [])
    assert nothing.operations == 0
    assert not nothing.groups


def test_a_group_left_out_renumbers_the_behaviours_of_the_later_ones() -> None:
    scenario = Scenario(
        publishers=((Publish(call=1, event=1),),),
        groups=(Group(), Group(policy=Policy(max_in_flight=2))),
        behaviours=(
            Behaviour(group=0, call=1, acts=(Act(do="leave"),)),
            Behaviour(group=1, call=1, acts=(Act(do="nack"),)),
        ),
    )
    part = restrict(scenario, [unit for unit in units(scenario) if unit != Unit("group", 0)])
    assert part.groups == (scenario.groups[1],)
    assert part.behaviours == (Behaviour(group=0, call=1, acts=(Act(do="nack"),)),)


# what can be made simpler


@settings(max_examples=25, deadline=None)
@given(scenarios())
def test_every_simpler_scenario_is_another_scenario_and_no_larger(scenario: Scenario) -> None:
    for count, other in enumerate(simpler(scenario)):
        assert other != scenario
        assert not inconsistencies(other)
        assert other.operations <= scenario.operations
        if count > 200:
            break


def test_simplifying_comes_to_an_end_and_ends_plain() -> None:
    scenario = generate(30, 5)[-1]
    for _ in range(2000):
        following = next(iter(simpler(scenario)), None)
        if following is None:
            break
        scenario = following
    assert next(iter(simpler(scenario)), None) is None
    assert all(payload == Payload() for payload in scenario.payloads)
    assert all(group.policy == Policy(max_in_flight=1) for group in scenario.groups)
    assert all(consumer == Consumer() for group in scenario.groups for consumer in group.consumers)
    assert all(topic == Topic() for topic in scenario.topics)
    assert len(scenario.publishers) <= 1


# the search on a broker, here a predicate


def searched(scenario: Scenario, shows: Callable[[Scenario], bool], rounds: list[int]) -> Scenario:
    async def attempt(candidates: Sequence[Scenario]) -> int | None:
        rounds.append(len(candidates))
        return next((n for n, candidate in enumerate(candidates) if shows(candidate)), None)

    calls = [step.call for step in scenario.publishes]
    return asyncio.run(minimise(scenario, calls, attempt, lambda: True))


def test_a_scenario_is_cut_to_what_shows() -> None:
    scenario = next(s for s in generate(100, 2) if len(s.publishes) > 15 and len(s.behaviours) > 2)
    behaviour = scenario.behaviours[1]

    def shows(candidate: Scenario) -> bool:
        acts = [b.acts for b in candidate.behaviours if b.call == behaviour.call]
        return bool(acts) and bool(candidate.groups[0].consumers)

    rounds: list[int] = []
    found = searched(scenario, shows, rounds)
    assert [step.call for step in found.publishes] == [behaviour.call]
    assert len(found.behaviours) == 1
    assert sum(len(group.consumers) for group in found.groups) == 1
    assert max(rounds) <= WIDTH


def test_the_search_stops_when_its_time_is_over() -> None:
    scenario = next(s for s in generate(100, 2) if len(s.publishes) > 15)
    tried = 0

    async def attempt(candidates: Sequence[Scenario]) -> int | None:
        nonlocal tried
        tried += 1
        return None

    assert asyncio.run(minimise(scenario, [], attempt, lambda: False)).publishes
    assert tried == 1


# histories


def violations(code: str, history: History) -> list[Violation]:
    return [one for finding in judge(history) if finding.code == code for one in finding.violations]


@pytest.mark.parametrize(
    "name",
    ["LosesEvents", "StoresTwice", "ForgetsAcks", "CutsLeasesShort", "Overtakes", "RemembersWhatItLost"],
)
def test_what_a_violation_rests_on_is_a_part_of_what_was_recorded(name: str) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    search = partial(violations, mutant.anomaly)
    histories = run(generate(40, 1), plugin(mutant), **mutant.options)
    showing = [history for history in histories if search(history)][:4]
    assert showing
    for history in showing:
        before, violation = list(history.records), search(history)[0]
        told = essential(history, violation, search)
        assert {record.i for record in told} >= set(violation.records)
        assert [record for record in history.records if record in told] == list(told)
        assert len(told) < len(before)
        assert history.records == before


def test_what_belongs_to_a_call_goes_with_it_also_from_the_log() -> None:
    told = Story()
    calls = [told.publish() for _ in range(3)]
    told.log(*((call, str(call)) for call in calls))
    seen: list[History] = []

    def search(history: History) -> list[Violation]:
        seen.append(history)
        confirmed = [r for r in history.records if r.kind == "publish.ok" and r.call == calls[1]]
        return [Violation(code="X", message="", records=(one.i,)) for one in confirmed]

    history = told.history()
    part = essential(history, search(history)[0], search)
    assert [record.i for record in part] == [3, 4, 7]
    assert [entry.call for entry in part[-1].entries] == calls, "a record is told as it was recorded"
    for one in seen:
        assert [record.i for record in one.records] == list(range(1, len(one.records) + 1))
        assert {entry.call for entry in one.records[-1].entries} == {r.call for r in one.records[:-1]}


def test_another_violation_of_a_part_is_no_evidence_for_the_one_of_the_whole() -> None:
    """One original was handed out, another was lost. Without a delivery a part would show both lost."""
    told = Story()
    session = told.join()
    seen, lost = told.publish(outcome="indeterminate"), told.publish(outcome="indeterminate")
    told.publish(event=seen, duplicate=True)
    ghost = told.publish(event=lost, duplicate=True)
    told.handle(session, seen)
    told.drain()
    history, search = told.history(), partial(violations, "C7")
    (violation,) = search(history)
    assert violation.calls == (lost, ghost)
    part = essential(history, violation, search)
    assert {record.call for record in part} == {0, lost, ghost}
