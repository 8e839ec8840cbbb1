"""Faults are left out and made simpler as everything else in a scenario, and follow whom they befall."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

import pytest

from eventproof.conformance.minimise.parts import Unit, restrict, simpler, units
from eventproof.conformance.minimise.scenario import minimise
from eventproof.conformance.scenario import (
    Consumer,
    Fault,
    Group,
    Policy,
    Publish,
    Scenario,
    inconsistencies,
)
from eventproof.conformance.strategies import generate

OF_BROKER = Fault(after="publish.ok", count=6, turns=2, ticks=3)
OF_FIRST = Fault(group=0, consumer=1)
OF_SECOND = Fault(do="freeze", group=1, consumer=2, ticks=12)
TWO_GROUPS = Scenario(
    publishers=(tuple(Publish(call=n, event=n) for n in range(1, 9)),),
    groups=(
        Group(consumers=(Consumer(), Consumer())),
        Group(policy=Policy(max_in_flight=2), consumers=(Consumer(), Consumer(sequential=True), Consumer())),
    ),
    faults=(OF_BROKER, OF_FIRST, OF_SECOND),
)


def without(*left_out: Unit) -> Scenario:
    return restrict(TWO_GROUPS, [unit for unit in units(TWO_GROUPS) if unit not in left_out])


def test_all_units_are_all_faults() -> None:
    assert without().faults == TWO_GROUPS.faults
    assert [unit for unit in units(TWO_GROUPS) if unit.kind == "fault"] == [
        Unit("fault", n) for n in range(3)
    ]


@pytest.mark.parametrize(
    ("left_out", "faults"),
    [
        ([Unit("fault", 0)], (OF_FIRST, OF_SECOND)),
        ([Unit("fault", 2)], (OF_BROKER, OF_FIRST)),
        ([Unit("fault", 0), Unit("fault", 1), Unit("fault", 2)], ()),
        (
            [Unit("group", 0)],
            (OF_BROKER, Fault(do="freeze", group=0, consumer=2, ticks=12)),
        ),
        ([Unit("group", 1)], (OF_BROKER, OF_FIRST)),
        ([Unit("group", 0), Unit("group", 1)], (OF_BROKER,)),
        (
            [Unit("consumer", 1, 0)],
            (OF_BROKER, OF_FIRST, Fault(do="freeze", group=1, consumer=1, ticks=12)),
        ),
        ([Unit("consumer", 1, 2)], (OF_BROKER, OF_FIRST)),
        (
            [Unit("group", 0), Unit("consumer", 1, 0), Unit("consumer", 1, 1)],
            (OF_BROKER, Fault(do="freeze", group=0, consumer=0, ticks=12)),
        ),
        (
            [Unit("consumer", 0, 0), Unit("consumer", 1, 1)],
            (
                OF_BROKER,
                Fault(group=0, consumer=0),
                Fault(do="freeze", group=1, consumer=1, ticks=12),
            ),
        ),
        ([Unit("publish", 3)], (OF_BROKER, OF_FIRST, OF_SECOND)),
    ],
    ids=str,
)
def test_a_fault_follows_whom_it_befalls(left_out: list[Unit], faults: tuple[Fault, ...]) -> None:
    part = without(*left_out)
    assert part.faults == faults
    assert not inconsistencies(part)


def test_a_fault_is_made_simpler_by_being_due_earlier_and_at_once() -> None:
    scenario = Scenario(faults=(OF_BROKER,))
    found = [other.faults[0] for other in simpler(scenario)]
    assert [(fault.count, fault.turns) for fault in found] == [(1, 2), (3, 2), (5, 2), (6, 0)]
    assert {fault.ticks for fault in found} == {3}, "how long it lasts may be what shows"


def test_a_fault_that_cannot_be_simpler_stays_as_it_is() -> None:
    assert not list(simpler(Scenario(faults=(Fault(), Fault(after="ack.ok", ticks=1)))))


@pytest.mark.parametrize("seed", range(3))
def test_any_part_of_a_scenario_with_faults_is_a_scenario(seed: int) -> None:
    random = Random(seed)
    for scenario in generate(50, seed, led=2):
        everything = units(scenario)
        assert len(set(everything)) == len(everything)
        part = restrict(scenario, [unit for unit in everything if random.random() < 0.6])
        assert not inconsistencies(part)
        assert part.operations <= scenario.operations
        for other in list(simpler(scenario))[:50]:
            assert other != scenario
            assert not inconsistencies(other)


def smallest(scenario: Scenario, shows: Callable[[Scenario], bool]) -> Scenario:
    async def attempt(candidates: Sequence[Scenario]) -> int | None:
        return next((n for n, candidate in enumerate(candidates) if shows(candidate)), None)

    return asyncio.run(minimise(scenario, [], attempt, lambda: True))


def test_the_fault_that_it_takes_is_kept_and_the_others_are_not() -> None:
    found = smallest(TWO_GROUPS, lambda one: any(fault.do == "freeze" for fault in one.faults))
    assert found.faults == (Fault(do="freeze", group=0, consumer=0, ticks=12),)
    assert [len(group.consumers) for group in found.groups] == [1]
    assert not found.publishes


def test_a_scenario_that_shows_without_faults_has_none_in_the_end() -> None:
    found = smallest(TWO_GROUPS, lambda one: any(step.call == 3 for step in one.publishes))
    assert not found.faults
    assert [step.call for step in found.publishes] == [3]
