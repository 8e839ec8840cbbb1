"""E8: a failing event holds back its own lane only."""

from __future__ import annotations

from typing import Any

import pytest

from eventproof.adapters.claims import Flow, Survives
from tests.conformance.histories import SECOND, Story, claims, policy
from tests.conformance.rules.found import findings, found

DELAY = 0.5  # seconds: longer than the slack


def fail(told: Story, session: int, call: int, waits: float = 1.0, delay: float = DELAY) -> None:
    """Two more attempts of an event that fails, each returned by a next that was open for `waits` seconds."""
    for _ in range(2):
        told.next(session)
        told.wait(waits)
        told.nack(told.hand(session, call), delay=delay)


def poison(
    *,
    other: str = "l",
    isolation: str = "key",
    waits: float = 1.0,
    partition: int = 0,
    delay: float = DELAY,
    backoff: str = "session",
) -> Story:
    """An event of key k fails three times while one of another key is ready and never handed out."""
    told = Story(claims(isolation=isolation, loss="may", backoff=backoff))
    session = told.join()
    bad = told.publish("k")
    told.nack(told.deliver(session, bad), delay=delay)
    good = told.invoke(other)
    told.outcome(good, partition=partition)
    fail(told, session, bad, waits, delay)
    return told


def test_e8_another_key_waits_for_two_more_attempts() -> None:
    assert found(poison()) == {"E8"}


@pytest.mark.parametrize(
    "fields",
    [
        {"other": "k"},
        {"waits": 0.0, "backoff": "none"},
        {"isolation": "partition"},
        {"isolation": "topic"},
    ],
    ids=str,
)
def test_e8_not_in_the_same_lane_and_not_where_no_next_waited(fields: dict[str, Any]) -> None:
    assert found(poison(**fields)) == set()


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ({"delay": 0.0, "waits": 0.15}, set()),
        ({"delay": 0.09, "waits": 0.15}, set()),
        ({"delay": 0.12, "waits": 0.15}, {"E8"}),
        ({"delay": 2.0, "waits": 0.15}, {"E3"}),
    ],
    ids=str,
)
def test_e8_attempts_that_follow_at_once_are_a_race(fields: dict[str, Any], codes: set[str]) -> None:
    """On a busy machine each answer of a broker may take longer than the slack. Whatever comes back without a
    pause then has its second answer when another event has not had its first."""
    assert found(poison(**fields)) == codes


def test_e8_a_lease_that_runs_out_is_a_pause_and_one_that_is_given_up_is_not() -> None:
    for ends, codes in ((False, {"E8"}), (True, set())):
        told = Story(claims(loss="may"))
        bad = told.publish("k")
        session = told.join()
        told.deliver(session, bad)
        told.publish("l")
        for attempt in range(2):
            if ends:
                told.close(session)
                session = told.join()
            told.next(session)
            told.wait(11 if not ends else 1)
            told.hand(session, bad, attempt=attempt + 2)
        assert found(told) == codes


@pytest.mark.parametrize(
    ("sharing", "other", "codes"),
    [
        ("partitions", "none", {"E8"}),
        ("partitions", "idle", {"E8"}),
        ("partitions", "gone", {"E8"}),
        ("partitions", "busy", set()),  # it owns the partition of the event that waits
        ("partitions", "joins", set()),
        ("events", "busy", {"E8"}),
    ],
)
def test_e8_an_event_may_wait_for_the_owner_of_its_partition(
    sharing: str, other: str, codes: set[str]
) -> None:
    told = Story(claims(loss="may", sharing=sharing))
    session = told.join()
    if other not in {"none", "joins"}:
        beside = told.join()
        if other == "busy":
            told.deliver(beside, told.publish("m"))
        elif other == "gone":
            told.close(beside)
        else:
            told.next(beside)
    bad = told.publish("k")
    told.nack(told.deliver(session, bad), delay=DELAY)
    told.publish("l")
    for attempt in range(2):
        told.next(session)
        told.wait(1.0)
        told.nack(told.hand(session, bad), delay=DELAY)
        if other == "joins" and not attempt:
            told.join()
    assert found(told) == codes


def test_e8_another_partition() -> None:
    assert found(poison(isolation="partition", partition=1)) == {"E8"}


def test_e8_handed_out_in_between() -> None:
    told = Story()
    session = told.join()
    bad, good = told.publish("k"), told.publish("l")
    told.nack(told.deliver(session, bad), delay=DELAY)
    told.handle(session, good)
    fail(told, session, bad)
    assert found(told) == set()
    assert findings(told)["E8"].exercised == 1


def test_e8_its_own_lane_was_busy() -> None:
    told = Story(claims(loss="may"))
    session = told.join()
    bad, before = told.publish("k"), told.publish("l")
    told.nack(told.deliver(session, bad), delay=DELAY)
    busy = told.deliver(session, before)
    last = told.publish("l")
    fail(told, session, bad)
    told.ack(busy)
    told.handle(session, last)
    assert found(told) == set()


def test_e8_its_own_lane_was_held_by_what_the_group_is_not_owed() -> None:
    told = Story(claims(loss="may"))
    session = told.join()
    bad, foreign = told.publish("k"), told.publish("l", expires=5 * SECOND)
    told.nack(told.deliver(session, bad), delay=DELAY)
    told.deliver(session, foreign)
    told.publish("l")
    fail(told, session, bad)
    told.wait(9)
    told.record("end")
    assert found(told) == set()


@pytest.mark.parametrize(
    ("survives", "since", "again", "codes"),
    [
        ((), 0.0, False, set()),  # the broker may hold it again, until its lease is over
        ((), 10.0, False, {"E8"}),
        ((), 10.0, True, set()),  # it does hold it again
        (("broker-kill",), 0.0, False, {"E8"}),
    ],
)
def test_e8_a_fault_may_undo_the_ack_that_freed_its_lane(
    survives: tuple[str, ...], since: float, again: bool, codes: set[str]
) -> None:
    told = Story(claims(loss="may", survives=Survives(acks=survives)), g=policy(ack_timeout=5.0))
    session = told.join()
    before = told.publish("l")
    told.ack(told.deliver(session, before))
    told.record("broker.killed")
    told.record("broker.ready")
    session = told.join()
    told.wait(since)
    if again:
        told.deliver(session, before)
    bad = told.publish("k")
    told.nack(told.deliver(session, bad), delay=DELAY)
    told.publish("l")
    fail(told, session, bad)
    told.wait(20)
    told.record("end")
    assert found(told) == codes


@pytest.mark.parametrize(("limit", "codes"), [(1, set()), (2, {"E8"})])
def test_e8_the_session_had_no_room(limit: int, codes: set[str]) -> None:
    """A third event fills the session when the next is asked; later its lease ends."""
    told = Story(claims(loss="may", flow=Flow()), g=policy(max_in_flight=limit))
    session = told.join()
    bad, other = told.publish("k"), told.publish("m")
    told.nack(told.deliver(session, bad), delay=DELAY)
    told.deliver(session, other)
    told.publish("l")
    fail(told, session, bad)
    assert found(told) == codes
