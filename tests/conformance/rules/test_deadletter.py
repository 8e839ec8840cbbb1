"""E4-E7, with E7c and E7n."""

from __future__ import annotations

from typing import Any

import pytest

from eventproof.adapters.claims import Deduplication, Survives
from tests.conformance.histories import SECOND, Story, claims, policy
from tests.conformance.rules.found import findings, found


def failed(times: int, *, limit: int = 2, **changes: Any) -> tuple[Story, int, int]:
    """One event nacked so often."""
    told = Story(claims(**changes), g=policy(max_attempts=limit))
    session, call = told.join(), told.publish()
    for attempt in range(1, times + 1):
        told.nack(told.deliver(session, call, attempt=attempt))
    return told, session, call


def rejected(outcome: str = "ok", **changes: Any) -> tuple[Story, int, int]:
    told = Story(claims(**changes))
    session, call = told.join(), told.publish()
    told.reject(told.deliver(session, call, attempt=1), outcome, reason="bad")
    return told, session, call


def test_e4_only_after_max_attempts() -> None:
    for times, codes in ((2, set()), (1, {"E4"})):
        told, _, call = failed(times)
        told.dead(call, attempt=times)
        assert found(told) == codes


def test_e4_a_hand_out_that_is_still_held_has_not_failed() -> None:
    for wait, codes in ((0.0, {"E4"}), (11.0, set())):
        told, session, call = failed(1)
        told.deliver(session, call, attempt=2)
        told.wait(wait)
        told.dead(call, attempt=2)
        assert found(told) == codes


def test_e4_a_loss_may_have_cost_an_attempt() -> None:
    told, _, call = failed(1)
    told.close(told.join())
    told.dead(call, attempt=2)
    assert found(told) == set()


def test_e4_without_a_limit_there_is_no_such_dead_letter() -> None:
    told = Story(g=policy(max_attempts=None))
    session, call = told.join(), told.publish()
    told.nack(told.deliver(session, call, attempt=1))
    told.dead(call, attempt=1)
    assert found(told) == {"E4"}


def test_e5_a_reject_that_returned_leaves_a_dead_letter() -> None:
    for dead, codes in ((True, set()), (False, {"E5"})):
        told, _, call = rejected()
        told.drain()
        if dead:
            told.dead(call, reason="rejected", error="bad", attempt=1)
        told.drain_dead()
        assert found(told) == codes


def test_e5_a_reader_that_deduplicates_gets_one_letter_of_an_event() -> None:
    for scope, codes in (("topic", set()), ("none", {"E5"})):
        told = Story(
            claims(consume_dedup=Deduplication(scope=scope, window=60.0), publish_dedup=Deduplication())
        )
        session, first = told.join(), told.publish()
        second = told.publish(event=first)
        held = [told.deliver(session, call, attempt=1) for call in (first, second)]
        for delivery in held:
            told.reject(delivery)
        told.dead(first, reason="rejected", error="bad", attempt=1)
        told.drain()
        told.drain_dead()
        assert found(told) == codes


def test_e5_a_kill_excuses_unless_messages_survive_it() -> None:
    for survives, codes in (((), set()), (("broker-kill",), {"E5"})):
        told, _, _ = rejected(survives=Survives(messages=survives))
        told.record("broker.killed")
        told.drain_dead()
        assert found(told) == codes


@pytest.mark.parametrize("outcome", ["indeterminate", "rejected"])
def test_e5_a_reject_that_did_not_return_need_not(outcome: str) -> None:
    told, _, _ = rejected(outcome)
    told.drain_dead()
    assert found(told) == set()


def test_e5_needs_the_dead_letter_topic_to_be_drained() -> None:
    told, _, _ = rejected()
    told.drain()
    assert found(told) == set()


def test_e5_exhausted_attempts_leave_one_too() -> None:
    for times, codes in ((1, {"B3"}), (2, {"B3", "E5"})):
        told, _, _ = failed(times)
        told.drain()
        told.drain_dead()
        assert found(told) == codes


def test_e5_nothing_is_due_while_the_last_attempt_may_be_acked() -> None:
    told, session, call = failed(1)
    told.ack(told.deliver(session, call, attempt=2), "indeterminate")
    told.drain()
    told.drain_dead()
    assert found(told) == set()


def both(*, torn: bool, grade: str) -> Story:
    """Rejected, found dead, and acked all the same."""
    told, session, call = rejected("indeterminate" if torn else "ok", dead_letter=grade, duplicates="any")
    told.handle(session, call, attempt=2)
    told.dead(call, reason="rejected", error="bad", attempt=1)
    return told


@pytest.mark.parametrize(
    ("torn", "grade", "codes"),
    [
        (False, "one-without-faults", {"E6"}),
        (True, "one-without-faults", set()),
        (True, "one-across-crash", {"E6"}),
        (False, "at-least-one", {"E6"}),
        (True, "at-least-one", set()),
    ],
)
def test_e6_dead_and_acked(torn: bool, grade: str, codes: set[str]) -> None:
    assert found(both(torn=torn, grade=grade)) == codes


@pytest.mark.parametrize(("stalled", "codes"), [(9.95, set()), (1.0, {"E6"})])
def test_e6_not_where_the_lease_of_what_was_acked_may_have_ended(stalled: float, codes: set[str]) -> None:
    """The last attempt was read late, and was over when it was handed out."""
    told, session, call = failed(1)
    told.next(session)
    told.wait(stalled)
    told.record("stall", numbers={"ns": int(stalled * SECOND)})
    told.ack(told.hand(session, call, attempt=2))
    told.dead(call, attempt=2)
    assert found(told) - {"E4"} == codes


@pytest.mark.parametrize("fault", ["consumer.killed", "link.cut", "session.lost"])
def test_e6_a_crash_in_the_settlement_excuses_once(fault: str) -> None:
    told = Story(claims())
    session, call = told.join(), told.publish()
    told.deliver(session, call, attempt=1)
    told.record(fault, **({"session": session} if fault == "session.lost" else {"process": "c1"}))
    told.dead(call, reason="expired", attempt=1)
    other = told.join()
    told.nack(told.deliver(other, call, attempt=2))
    assert found(told) == set()
    told.nack(told.deliver(other, call, attempt=3))
    assert found(told) == {"E6"}


@pytest.mark.parametrize("deleted", [True, False])
@pytest.mark.parametrize("first", ["dead", "acked"])
def test_e6_a_group_that_was_deleted_begins_anew(deleted: bool, first: str) -> None:
    told, session, call = failed(1 if first == "acked" else 2)
    if first == "dead":
        told.dead(call, attempt=2)
    else:
        told.handle(session, call, attempt=2)
    if deleted:
        told.record("group.deleted", topic="t", group="g")
    other = told.join()
    if first == "dead":
        told.handle(other, call, attempt=1)
    else:
        told.reject(told.deliver(other, call, attempt=1), reason="bad")
        told.dead(call, reason="rejected", error="bad", attempt=1)
    assert ("E6" in found(told)) is not deleted


def test_e6_an_orderly_leave_is_no_crash() -> None:
    told, session, call = failed(2)
    told.dead(call, attempt=2)
    told.close(session)
    told.handle(told.join(), call, attempt=3)
    assert found(told) == {"E6"}


def test_e7n_two_copies_for_one_group() -> None:
    for second, codes in (("dead 1", set()), ("other", {"E7n"})):
        told, _, call = rejected()
        for position in ("dead 1", second):
            told.dead(call, reason="rejected", error="bad", attempt=1, position=position)
        assert found(told) == codes


@pytest.mark.parametrize(
    ("grade", "codes"),
    [("one-without-faults", set()), ("one-across-crash", {"E7n"}), ("at-least-one", set())],
)
def test_e7n_two_copies_after_a_torn_settlement(grade: str, codes: set[str]) -> None:
    told, _, call = rejected("indeterminate", dead_letter=grade)
    for position in ("1", "2"):
        told.dead(call, reason="rejected", error="bad", attempt=1, position=position)
    assert found(told) == codes


@pytest.mark.parametrize("grade", ["one-without-faults", "one-across-crash"])
@pytest.mark.parametrize("fault", ["", "broker.killed", "session.lost", "session.closed"])
def test_e7n_a_crash_may_also_tear_the_settlement_of_what_expired_unseen(grade: str, fault: str) -> None:
    told = Story(claims(dead_letter=grade))
    session, call = told.join(), told.publish()
    if fault:
        told.record(fault, session=session if fault.startswith("session") else 0)
    for position in ("1", "2"):
        told.dead(call, reason="expired", attempt=0, position=position)
    torn = fault in {"broker.killed", "session.lost"} and grade == "one-without-faults"
    assert found(told) == (set() if torn else {"E7n"})


def test_e7n_a_group_that_was_deleted_begins_anew() -> None:
    for deleted in (True, False):
        told, _, call = rejected(duplicates="any")
        told.dead(call, reason="rejected", error="bad", attempt=1, position="1")
        if deleted:
            told.record("group.deleted", topic="t", group="g")
        told.reject(told.deliver(told.join(), call, attempt=1), reason="bad")
        told.dead(call, reason="rejected", error="bad", attempt=1, position="2")
        assert ("E7n" in found(told)) is not deleted


def test_e7n_several_copies_where_several_are_allowed() -> None:
    told, _, call = rejected(dead_letter="at-least-one")
    for position in ("1", "2"):
        told.dead(call, reason="rejected", error="bad", attempt=1, position=position)
    assert found(told) == set()


def test_e7n_is_exercised_by_what_could_be_told_apart() -> None:
    for position, exercised in (("1", 1), ("", 0)):
        told, _, call = rejected()
        told.dead(call, reason="rejected", error="bad", attempt=1, position=position)
        assert findings(told)["E7n"].exercised == exercised


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"event": "s 9"}, "E7"),
        ({"digest": "other"}, "E7"),
        ({"call": 0}, "E7"),
        ({"reason": "whatever"}, "E7c"),
        ({"error": "another"}, "E7c"),
        ({"attempt": 3}, "E7c"),
        ({"group": "nobody"}, "E7c"),
    ],
    ids=str,
)
def test_e7_whatever_is_not_kept_and_e7c_what_is_told_wrongly(spoilt: dict[str, Any], code: str) -> None:
    told, _, call = rejected()
    told.dead(**{"call": call, "reason": "rejected", "error": "bad", "attempt": 1, **spoilt})
    assert found(told) == {code}


def test_e7c_rejected_by_nobody() -> None:
    told, _, call = failed(2)
    told.dead(call, reason="rejected", attempt=2)
    assert found(told) == {"E7c"}


@pytest.mark.parametrize(
    ("reason", "error"),
    [("ä" * 1000, "ä" * 512), ("no\tsuch\norder", "no such order"), ("\x00 \uffff", "\ufffd \ufffd")],
)
def test_e7c_a_reason_is_told_as_an_attribute_can_hold_it(reason: str, error: str) -> None:
    told = Story()
    session, call = told.join(), told.publish()
    told.reject(told.deliver(session, call, attempt=1), reason=reason)
    told.dead(call, reason="rejected", error=error, attempt=1)
    assert found(told) == set()


def test_e7_what_could_not_be_decoded_has_no_identity_to_keep() -> None:
    told = Story()
    told.record("publish.raw", topic="t")
    told.join()
    told.dead(0, reason="undecodable")
    assert found(told) == set()


@pytest.mark.parametrize(("count", "codes"), [(1, {"E7c"}), (2, set()), (3, {"E7c"})])
def test_e7c_attempts(count: int, codes: set[str]) -> None:
    told, _, call = failed(2)
    told.dead(call, attempt=count)
    assert found(told) == codes


@pytest.mark.parametrize(("once", "codes"), [(True, {"E6"}), (False, set())])
def test_e6_a_copy_that_was_never_handed_out_may_expire_beside_one_that_was(
    once: bool, codes: set[str]
) -> None:
    told = Story(claims(idempotent_publish=once))
    call = told.publish()
    told.handle(told.join(), call, attempt=1)
    told.dead(call, reason="expired", attempt=0)
    assert found(told) == codes
