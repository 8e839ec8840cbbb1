"""Who meets a fault of the broker: one scenario leads, and as many follow as there is room for."""

from __future__ import annotations

import pytest

from eventproof.conformance.execution.batches import TOGETHER, batches
from eventproof.conformance.scenario import Fault, Group, Scenario

CALM = Scenario()
LEAD = Scenario(faults=(Fault(),))
OF_A_CONSUMER = Scenario(groups=(Group(),), faults=(Fault(group=0),))


def numbers(scenarios: list[Scenario], room: int) -> list[list[int]]:
    return [[number for number, _ in batch] for batch in batches(scenarios, room)]


def test_without_faults_of_the_broker_all_are_one_batch() -> None:
    assert numbers([CALM, OF_A_CONSUMER, CALM], 2) == [[0, 1, 2]]
    assert numbers([], 2) == []


def test_each_lead_comes_first_and_has_followers_of_its_own() -> None:
    assert numbers([CALM, LEAD, CALM, CALM, LEAD, CALM, CALM], 3) == [[1, 0, 2], [4, 3, 5], [6]]


def test_with_room_for_one_nobody_follows() -> None:
    assert numbers([CALM, LEAD, LEAD, CALM], 1) == [[1], [2], [0, 3]]


def test_leads_that_find_no_followers_go_alone() -> None:
    assert numbers([LEAD, LEAD, LEAD, CALM, CALM, CALM], 3) == [[0, 3, 4], [1, 5], [2]]
    assert numbers([LEAD, LEAD], 5) == [[0], [1]]


def test_a_fault_meets_no_more_than_ten_however_much_room_there_is() -> None:
    found = numbers([LEAD, *(CALM,) * 30], 48)
    assert [len(batch) for batch in found] == [TOGETHER, 21]


@pytest.mark.parametrize("room", [1, 2, 7, 48])
@pytest.mark.parametrize("every", [1, 2, 5])
def test_every_scenario_is_in_one_batch_and_no_batch_has_two_leads(room: int, every: int) -> None:
    scenarios = [CALM if n % every else LEAD for n in range(40)]
    found = batches(scenarios, room)
    assert sorted(number for batch in found for number, _ in batch) == list(range(40))
    for batch in found:
        leads = [scenario for _, scenario in batch if scenario.broker_faults]
        assert leads in ([], [LEAD])
        assert not leads or len(batch) <= min(room, TOGETHER)
        assert all(scenarios[number] is scenario for number, scenario in batch)
