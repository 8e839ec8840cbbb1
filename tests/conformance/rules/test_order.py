"""D1-D4."""

from __future__ import annotations

import pytest

from eventproof.adapters.claims import Ordering
from tests.conformance.histories import Story, claims, policy
from tests.conformance.rules.found import findings, found

FIRST = claims(ordering=Ordering(scope="key"))
PIPELINED = claims(ordering=Ordering(scope="key", publish="pipelined"))
TOPIC = claims(ordering=Ordering(scope="topic"))


def backwards(told: Story, *calls: int) -> Story:
    """The calls are handed out in the reverse order and acked."""
    session = told.join()
    for call in reversed(calls):
        told.handle(session, call)
    return told


def test_d1_confirmed_before_the_other_was_invoked() -> None:
    told = Story(FIRST)
    assert found(backwards(told, told.publish("k", by="p"), told.publish("k", by="q"))) == {"D1"}


@pytest.mark.parametrize("keys", [("k", "l"), ("", "")])
def test_d1_other_keys_and_no_key_have_no_order(keys: tuple[str, str]) -> None:
    told = Story(FIRST)
    assert found(backwards(told, *(told.publish(key) for key in keys))) == set()


def overlapping(told: Story, by: tuple[str, str]) -> Story:
    one, two = (told.invoke("k", by=who) for who in by)
    told.outcome(one)
    told.outcome(two)
    return backwards(told, one, two)


def test_d1_overlapping_publishes_have_no_order() -> None:
    assert found(overlapping(Story(FIRST), ("p", "q"))) == set()


def test_d1p_one_publishers_overlapping_publishes_have_one() -> None:
    assert found(overlapping(Story(PIPELINED), ("p", "p"))) == {"D1p"}
    assert found(overlapping(Story(PIPELINED), ("p", "q"))) == set()


def test_d1_and_d1p_are_exercised_by_the_publishes_that_they_are_about() -> None:
    told = Story(PIPELINED)
    session, calls = told.join(), [told.invoke("k", by="p") for _ in range(3)]
    for call in calls:
        told.outcome(call)
    calls.append(told.publish("k", by="p"))
    for call in calls:
        told.handle(session, call)
    result = findings(told)
    assert (found(told), result["D1p"].exercised, result["D1"].exercised) == (set(), 2, 1)


def test_d1p_needs_both_to_be_confirmed() -> None:
    told = Story(PIPELINED)
    one, two = told.invoke("k"), told.invoke("k")
    told.outcome(one, "indeterminate")
    told.outcome(two)
    assert found(backwards(told, one, two)) == set()


def test_d1_an_unknown_outcome_is_bound_only_to_what_was_confirmed_before_it() -> None:
    told = Story(FIRST)
    assert found(backwards(told, told.publish("k", outcome="indeterminate"), told.publish("k"))) == set()
    told = Story(FIRST)
    assert found(backwards(told, told.publish("k"), told.publish("k", outcome="indeterminate"))) == {"D1"}


def test_d1_a_repeat_answered_duplicate_confirms_the_unknown_original() -> None:
    told = Story(FIRST)
    call = told.publish("k", outcome="indeterminate")
    told.publish("k", event=call, duplicate=True)
    assert found(backwards(told, call, told.publish("k"))) == {"D1"}


def test_d1_redelivery_does_not_count() -> None:
    told = Story(FIRST)
    session, one, two = told.join(), told.publish("k"), told.publish("k")
    delivery = told.deliver(session, one)
    told.handle(session, two)
    told.nack(delivery)
    told.handle(session, one)
    assert found(told) == set()


def test_d1_a_repeat_stored_after_the_window_has_its_first_hand_out_behind_it() -> None:
    told = Story(FIRST)
    session, one, two = told.join(), told.publish("k"), told.publish("k")
    told.handle(session, one)
    told.wait(61)
    again = told.publish("k", event=one)
    three = told.publish("k")
    for call in (two, three, again):
        told.handle(session, call)
    assert found(told) == set()


@pytest.mark.parametrize(("asked_early", "codes"), [(True, set()), (False, {"D1"})])
def test_d1_across_sessions_the_next_must_have_been_asked_later(asked_early: bool, codes: set[str]) -> None:
    told = Story(FIRST)
    one, two = told.publish("k"), told.publish("k")
    slow, quick = told.join(), told.join()
    if asked_early:
        told.next(slow)
    told.handle(quick, two)
    if not asked_early:
        told.next(slow)
    told.ack(told.hand(slow, one))
    assert found(told) == codes


def test_d1_a_change_of_the_topic_starts_anew() -> None:
    told = Story(FIRST)
    one = told.publish("k")
    told.record("topic.changed", topic="t")
    assert found(backwards(told, one, told.publish("k"))) == set()


def test_d1_does_not_stop_at_the_first_error() -> None:
    told = Story(FIRST)
    result = findings(backwards(told, *(told.publish("k") for _ in range(5))))
    assert result["D1"].count == 4


def test_d3_over_the_whole_topic() -> None:
    told = Story(TOPIC)
    assert found(backwards(told, told.publish("k"), told.publish())) == {"D3"}
    told = Story(TOPIC)
    one, two = told.invoke(by="p"), told.invoke(by="q")
    told.outcome(one)
    told.outcome(two)
    assert found(backwards(told, one, two)) == set()


def pair(**group: object) -> tuple[Story, int, int, int]:
    """Two events of one key; the first is in the hands of session 1."""
    told = Story(g=policy(**group))
    one, two = told.publish("k"), told.publish("k")
    session = told.join()
    return told, session, two, told.deliver(session, one)


def test_d2_a_later_event_while_the_earlier_is_open() -> None:
    told, session, two, _ = pair()
    told.handle(session, two)
    assert found(told) == {"D2"}


@pytest.mark.parametrize("verb", ["ack", "reject"])
def test_d2_the_broker_may_go_on_before_the_reply_is_read(verb: str) -> None:
    told, session, two, delivery = pair()
    told.record(f"{verb}.invoke", delivery=delivery)
    told.ack(told.deliver(session, two))
    told.record(f"{verb}.ok", delivery=delivery)
    assert found(told) == set()


def test_d2_until_a_refusal_is_known() -> None:
    told, session, two, delivery = pair()
    told.record("ack.invoke", delivery=delivery)
    told.deliver(session, two)
    told.record("ack.rejected", delivery=delivery)
    assert found(told) == set()
    told, session, two, delivery = pair()
    told.ack(delivery, "rejected")
    told.deliver(session, two)
    assert found(told) == {"D2"}


def test_d2_a_nack_does_not_settle() -> None:
    told, session, two, delivery = pair()
    told.nack(delivery)
    told.handle(session, two)
    assert found(told) == {"D2"}


def test_d2_a_nack_of_the_last_allowed_attempt_may() -> None:
    told, session, two, delivery = pair(max_attempts=1)
    told.record("nack.invoke", delivery=delivery, delay=0.0)
    told.handle(session, two)
    assert found(told) == set()


def test_d2_so_may_the_end_of_the_lease_of_the_last_allowed_attempt() -> None:
    for wait, codes in ((9.8, {"D2"}), (9.95, set()), (10.1, set())):
        told, session, two, _ = pair(max_attempts=1)
        told.wait(wait)
        told.handle(session, two)
        assert found(told) == codes, wait


def test_d2_a_lease_end_with_attempts_left_does_not() -> None:
    told, session, two, _ = pair()
    told.wait(11)
    told.handle(session, two)
    assert found(told) == {"D2"}


def test_d2_what_was_found_dead_later_may_have_been_then() -> None:
    told, session, two, delivery = pair()
    told.lose(delivery)
    for _ in range(4):
        told.close(told.join())
    told.handle(session, two)
    told.dead(1, attempt=5)
    assert found(told) == set()


def test_d2_under_redelivery_of_the_later_event() -> None:
    """m2 was first handed out before m1: its redelivery is not out of order with m1."""
    told = Story(claims(duplicates="any"))
    one, two = told.invoke("k", by="p"), told.invoke("k", by="q")
    session = told.join()
    told.handle(session, two)
    told.deliver(session, one)
    told.deliver(session, two)
    assert found(told) == set()


def test_d2_an_expired_event_makes_way() -> None:
    told = Story()
    one, two = told.publish("k", expires=5_000_000_000), told.publish("k")
    session = told.join()
    told.nack(told.deliver(session, one))
    told.wait(5)
    told.handle(session, two)
    assert found(told) == set()


def test_d4_two_sessions_hold_a_key() -> None:
    told, _, two, _ = pair()
    told.deliver(told.join(), two)
    assert found(told) == {"D2", "D4"}


@pytest.mark.parametrize("release", ["nack", "lease.lost", "session.closed", "lease end"])
def test_d4_not_once_the_first_let_go(release: str) -> None:
    told, session, two, delivery = pair()
    other = told.join()
    if release == "nack":
        told.nack(delivery)
    elif release == "lease.lost":
        told.lose(delivery)
    elif release == "session.closed":
        told.close(session)
    else:
        told.wait(11)
    told.handle(other, two)
    assert found(told) == {"D2"}


@pytest.mark.parametrize(("acked", "codes"), [(True, set()), (False, {"D2", "D4"})])
def test_d4_an_event_that_comes_again_after_its_ack_is_not_held(acked: bool, codes: set[str]) -> None:
    """The lease ended at the broker while the ack was on its way, and both took effect."""
    told, session, two, delivery = pair()
    other = told.join()
    if acked:
        told.record("ack.invoke", delivery=delivery)
    told.lose(delivery)
    if acked:
        told.record("ack.ok", delivery=delivery)
    told.deliver(session, two)
    told.deliver(other, 1, attempt=2)
    assert found(told) == codes


def test_d4_is_exercised_only_while_both_sessions_are_there() -> None:
    for leaves, exercised in ((False, 1), (True, 0)):
        told, session, two, delivery = pair()
        told.ack(delivery)
        if leaves:
            told.close(session)
        told.handle(told.join(), two)
        assert (found(told), findings(told)["D4"].exercised) == (set(), exercised)


def test_d4_one_event_held_twice_is_a_double_lease_only() -> None:
    told, *_ = pair()
    told.deliver(told.join(), 1)
    assert found(told) == {"C3"}
