"""Scenarios are generated: many differ, some are large, and a seed gives the same ones again."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventproof.conformance.scenario import Scenario, inconsistencies
from eventproof.conformance.strategies import (
    BYTES_PER_EVENT,
    LARGE,
    LARGE_KEYS,
    STRUCTURE,
    from_bytes,
    generate,
    structure,
)

LENGTH = STRUCTURE + BYTES_PER_EVENT * LARGE[1]


@pytest.fixture(scope="module")
def corpus() -> list[Scenario]:
    return generate(1000, 7)


def test_no_two_scenarios_have_one_structure(corpus: list[Scenario]) -> None:
    assert len({structure(scenario) for scenario in corpus}) == len(corpus) == 1000


def test_payloads_are_no_part_of_the_structure(corpus: list[Scenario]) -> None:
    one = corpus[0]
    other = Scenario(
        topics=one.topics,
        publishers=one.publishers,
        groups=one.groups,
        behaviours=one.behaviours,
        payloads=(),
    )
    assert structure(one) == structure(other)


def test_the_median_scenario_does_twelve_things_or_more(corpus: list[Scenario]) -> None:
    assert median(scenario.operations for scenario in corpus) >= 12


def test_one_in_five_is_without_faults(corpus: list[Scenario]) -> None:
    assert sum(not scenario.behaviours for scenario in corpus) >= len(corpus) / 5


def test_small_and_large_ones_occur(corpus: list[Scenario]) -> None:
    sizes = [len(scenario.publishes) for scenario in corpus]
    assert min(sizes) <= 2
    large = [scenario for scenario in corpus if len(scenario.publishes) >= 300]
    assert len(large) >= 5
    assert max(len({step.key for step in scenario.publishes}) for scenario in large) >= LARGE_KEYS * 0.9


def test_every_kind_of_act_policy_and_publish_occurs(corpus: list[Scenario]) -> None:
    acts = {act.do for s in corpus for behaviour in s.behaviours for act in behaviour.acts}
    assert acts == {"nack", "reject", "hold", "extend", "abandon", "leave", "twice"}
    policies = [group.policy for s in corpus for group in s.groups]
    assert {policy.start for policy in policies} == {"earliest", "latest"}
    assert {policy.max_attempts for policy in policies} == {None, 1, 2, 3, 4}
    consumers = [consumer for s in corpus for group in s.groups for consumer in group.consumers]
    assert any(c.conflicting for c in consumers)
    assert any(c.joins for c in consumers)
    steps = [step for s in corpus for step in s.publishes]
    assert any(step.pipelined for step in steps)
    assert any(step.expires for step in steps)
    assert any(step.event != step.call for step in steps), "no event is published twice"
    assert {payload.kind for s in corpus for payload in s.payloads} == {"absent", "json", "bytes", "oversize"}


def test_a_group_without_dead_letter_is_not_asked_to_reject(corpus: list[Scenario]) -> None:
    for scenario in corpus:
        for behaviour in scenario.behaviours:
            if scenario.groups[behaviour.group].policy.max_attempts is None:
                assert all(act.do != "reject" for act in behaviour.acts)


def test_all_references_lead_somewhere(corpus: list[Scenario]) -> None:
    assert not [wrong for scenario in corpus for wrong in inconsistencies(scenario)]


def test_a_seed_gives_the_same_scenarios_and_another_seed_others(corpus: list[Scenario]) -> None:
    first = generate(100, 7)
    assert first == generate(100, 7)
    shared = {structure(s) for s in first} & {structure(s) for s in generate(100, 8)}
    assert len(shared) < 20


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=LENGTH, max_size=LENGTH) | st.sampled_from([b"\0" * LENGTH, b"\xff" * LENGTH]))
def test_every_byte_string_is_a_scenario(noise: bytes) -> None:
    scenario = from_bytes(noise)
    assert not inconsistencies(scenario)
    assert scenario.publishes
    assert scenario.groups
    assert from_bytes(noise) == scenario
