"""The faults that scenarios are drawn with: the same ones for a seed, of all kinds, and each has somebody to
meet."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from eventproof.conformance.misfortunes import LATE, bearable, surely_got, without_broker_faults
from eventproof.conformance.scenario import Fault, Group, Scenario, inconsistencies
from eventproof.conformance.strategies import LED, generate, structure
from eventproof.spec import requirements

COUNT = 500
BROKER = frozenset({"broker-kill", "broker-pause", "broker-restart"})
CONSUMER = frozenset({"consumer-loss", "consumer-pause"})
EVERY = (
    Fault(do="kill"), Fault(do="freeze"), Fault(do="restart"),
    Fault(do="kill", group=0), Fault(do="freeze", group=0),
)  # fmt: skip
ALL = Scenario(groups=(Group(),), faults=EVERY)


@cache
def corpus(led: int = 2) -> list[Scenario]:
    return generate(COUNT, 11, led=led)


def test_the_kinds_of_faults_of_the_broker_take_turns() -> None:
    leads = [one for one in generate(96, 3, led=8) if one.broker_faults]
    kinds = [(fault.do, fault.ticks) for one in leads for fault in one.broker_faults]
    assert [do for do, _ in kinds] == ["kill", "kill", "freeze", "kill", "kill", "restart"] * 2
    assert all((ticks is None) == (do == "restart") for do, ticks in kinds)


def test_the_turns_go_on_where_a_run_draws_its_scenarios_in_parts() -> None:
    parts = [*generate(20, 3, led=4), *generate(20, 4, led=4, before=20)]
    assert [one.broker_faults[0].do for one in parts if one.broker_faults] == [
        "kill", "kill", "freeze", "kill", "kill", "restart", "kill", "kill", "freeze", "kill"
    ]  # fmt: skip


def test_a_fault_of_the_broker_that_waits_for_a_nack_has_two_to_wait_for() -> None:
    waiting = [s for s in corpus() for fault in s.broker_faults if fault.after == "nack.ok"]
    assert waiting
    for scenario in waiting:
        given_back = [(one.group, one.call) for one in scenario.behaviours if one.acts[0].do == "nack"]
        wanted = [
            (n, call) for n, group in enumerate(scenario.groups) for call in surely_got(scenario, group)
        ]
        assert len(set(given_back) & set(wanted)) > 1


def test_a_seed_gives_the_same_faults_again() -> None:
    assert generate(60, 4, led=5) == generate(60, 4, led=5)
    assert generate(60, 4, led=5) != generate(60, 5, led=5)


def test_no_two_scenarios_with_faults_have_one_structure() -> None:
    assert len({structure(scenario) for scenario in corpus()}) == COUNT


def test_all_references_lead_somewhere_and_every_count_can_be_reached() -> None:
    assert not [wrong for scenario in corpus() for wrong in inconsistencies(scenario)]
    for scenario in corpus():
        for fault in scenario.broker_faults:
            if fault.after == "publish.invoke":
                assert fault.count <= len(scenario.publishes)


@pytest.mark.parametrize("led", [*LED.values(), 1, 7])
def test_of_so_many_scenarios_one_brings_one_fault_upon_the_broker(led: int) -> None:
    faults = [len(scenario.broker_faults) for scenario in corpus(led)[:120]]
    assert faults == [0 if number % led else 1 for number in range(120)]


def test_every_kind_of_fault_occurs() -> None:
    found = Counter(fault.name for scenario in corpus() for fault in scenario.faults)
    assert set(found) == BROKER | CONSUMER
    assert min(found.values()) >= COUNT / 20


def test_publishers_and_consumers_meet_faults_at_each_moment() -> None:
    moments = {(fault.group is None, fault.after) for s in corpus() for fault in s.faults}
    of_broker = {"publish.invoke", "ack.invoke", "ack.ok", "nack.ok"}
    assert moments == {(True, m) for m in of_broker} | {(False, m) for m in ("deliver", "ack.ok", "nack.ok")}
    assert {fault.turns for s in corpus() for fault in s.faults} == {0, 1}


def test_a_consumer_that_something_befalls_has_somebody_to_take_over() -> None:
    for scenario in corpus():
        for fault in scenario.faults:
            if fault.group is not None:
                consumers = scenario.groups[fault.group].consumers
                assert len(consumers) == 3
                assert not any(one.conflicting or one.sequential for one in consumers)
                assert consumers[0].joins == 0 < consumers[1].joins == consumers[2].joins


def test_no_two_faults_befall_one_consumer() -> None:
    for scenario in corpus():
        whom = [(fault.group, fault.consumer) for fault in scenario.faults if fault.group is not None]
        assert len(set(whom)) == len(whom)


def test_a_freeze_lasts_longer_than_the_lease() -> None:
    for scenario in corpus():
        for fault in scenario.faults:
            if fault.name == "consumer-pause":
                assert fault.ticks == LATE.ticks
                assert scenario.groups[fault.group or 0].policy.ack_timeout < fault.ticks


def test_publishers_repeat_what_they_are_in_doubt_about_and_some_do_all_at_once() -> None:
    repeats = Counter(step.repeats for scenario in corpus() for step in scenario.publishes)
    assert set(repeats) == {0, 1, 2}
    together = [all(step.pipelined for step in scenario.publishes) for scenario in corpus()]
    assert COUNT / 3 <= sum(together) <= COUNT * 2 / 3


def test_a_group_without_dead_letter_is_not_asked_to_reject_among_faults_either() -> None:
    for scenario in corpus():
        for behaviour in scenario.behaviours:
            if scenario.groups[behaviour.group].policy.max_attempts is None:
                assert all(act.do != "reject" for act in behaviour.acts)


# what is left of them


@pytest.mark.parametrize("able", [frozenset(), BROKER, CONSUMER, BROKER | CONSUMER, frozenset({"in-flight"})])
def test_a_run_is_given_the_faults_alone_that_it_can_make(able: frozenset[str]) -> None:
    fitted = bearable(ALL, able)
    assert {fault.name for fault in fitted.faults} == able & {fault.name for fault in ALL.faults}
    assert fitted.groups == ALL.groups
    assert bearable(fitted, able) == fitted


def test_what_others_lead_keeps_the_faults_of_its_consumers() -> None:
    assert {fault.name for fault in without_broker_faults(ALL).faults} == CONSUMER


def test_every_fault_that_can_be_made_is_one_that_requirements_name() -> None:
    named = {name for requirement in requirements for name in requirement.faults}
    assert named >= BROKER | CONSUMER
