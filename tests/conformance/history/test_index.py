"""What the index derives: slack over stalls, what counts as a loss, which faults are survived."""

from __future__ import annotations

import pytest

from eventproof.adapters.claims import Survives
from eventproof.conformance.history.build import build
from eventproof.conformance.history.entities import NEVER
from eventproof.conformance.history.faults import after, between
from eventproof.conformance.history.index import Index
from tests.conformance.histories import MILLISECOND, Story, claims

SLACK = 100 * MILLISECOND


def stalled(*spans: tuple[int, int]) -> Index:
    """An index with stalls from and to these milliseconds."""
    told = Story()
    for start, end in spans:
        told.time = (end - 1) * MILLISECOND
        told.record("stall", numbers={"ns": (end - start) * MILLISECOND})
    return build(told.history())


@pytest.mark.parametrize(
    ("start", "end", "stall"),
    [(0, 10, 0), (0, 20, 10), (12, 18, 6), (15, 45, 10), (0, 100, 20), (20, 40, 0), (30, 30, 0), (45, 99, 5)],
)
def test_slack_grows_by_the_stalls_in_the_interval(start: int, end: int, stall: int) -> None:
    index = stalled((10, 20), (40, 50))
    assert index.slack_over(start * MILLISECOND, end * MILLISECOND) == SLACK + stall * MILLISECOND


def test_slack_without_stalls() -> None:
    assert build(Story().history()).slack_over(0, 10**12) == SLACK


def test_losses_are_session_ends_and_faults_of_the_group() -> None:
    told = Story()
    told.join()
    told.join("other")
    told.close(1)
    told.close(2)
    told.join(process="c9")
    told.record("consumer.paused", process="c9")
    told.record("broker.paused")
    index = build(told.history())
    assert index.losses(index.groups["t", "g"])[:2] == [5, 10]


def test_a_pause_elsewhere_costs_a_group_nothing() -> None:
    told = Story()
    told.join(process="c1")
    told.record("consumer.paused", process="c2")
    index = build(told.history())
    assert index.losses(index.groups["t", "g"]) == [NEVER]


def test_a_pause_is_no_loss_of_state_and_a_kill_is_named_by_its_reason() -> None:
    told = Story(claims(survives=Survives(messages=("broker-kill",))))
    told.record("broker.paused")
    told.record("broker.killed")
    told.record("broker.killed", reason="power-loss")
    faults = build(told.history()).faults
    assert faults.uncovered("messages") == [3]
    assert faults.uncovered("acks") == [2, 3]
    assert faults.ends("anyone", 0) == 1


def test_a_cut_ends_the_sessions_of_its_process_only() -> None:
    told = Story()
    told.record("link.cut", process="p")
    told.record("link.cut")
    faults = build(told.history()).faults
    assert (faults.ends("p", 0), faults.ends("q", 0), faults.ends("p", 2)) == (1, 2, NEVER)


def test_moments() -> None:
    assert [after([2, 4], i) for i in (1, 2, 4)] == [2, 4, NEVER]
    assert [between([2, 4], *pair) for pair in ((1, 5), (2, 5), (2, 4), (5, 1))] == [2, 1, 0, 0]


def test_a_copy_of_two_groups_is_two_and_a_renamed_one_another() -> None:
    told = Story()
    call = told.publish()
    for group in ("g", "h"):
        told.nack(told.deliver(told.join(group), call))
    told.deliver(1, call, position="other")
    index = build(told.history())
    assert [len(group.copies_of(call)) for group in index.groups.values()] == [2, 1]
