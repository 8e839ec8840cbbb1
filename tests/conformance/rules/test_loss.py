"""B1-B7."""

from __future__ import annotations

from typing import Any

import pytest

from eventproof.adapters.claims import Deduplication, Ordering, Survives
from tests.conformance.histories import SECOND, Story, claims, policy
from tests.conformance.rules.found import findings, found


def unseen(**fields: Any) -> Story:
    """One call, never delivered, and a proven drain."""
    told = Story()
    told.join()
    told.publish(**fields)
    told.drain()
    return told


def test_b2_confirmed_and_never_delivered() -> None:
    assert found(unseen()) == {"B2"}


@pytest.mark.parametrize(
    "fields",
    [{"outcome": "indeterminate"}, {"outcome": "rejected"}, {"topic": "u"}, {"expires": 1}],
)
def test_b2_what_is_not_owed_is_not_lost(fields: dict[str, Any]) -> None:
    assert found(unseen(**fields)) == set()


def test_b2_an_open_publish_is_not_owed() -> None:
    told = Story()
    told.join()
    told.invoke()
    told.drain()
    assert found(told) == set()


def test_b2_indeterminate_but_seen_by_another_group_is_owed() -> None:
    told = Story(g=policy(), h=policy())
    told.join("g")
    told.handle(told.join("h"), told.publish(outcome="indeterminate"))
    told.drain("g")
    assert found(told) == {"B2", "B5"}


def test_b2_indeterminate_but_in_the_log_is_owed() -> None:
    told = Story()
    told.join()
    call = told.publish(outcome="indeterminate")
    told.drain()
    told.log((call, "1"))
    assert found(told) == {"B2"}


def test_b2_filtered_out_is_not_owed() -> None:
    told = Story(g=policy(types=("x.*",)))
    told.join()
    told.publish()
    told.drain()
    assert found(told) == set()


def test_b2_latest_between_subscribe_invoke_and_ok_is_optional() -> None:
    for late, codes in ((False, set()), (True, {"B2"})):
        told = Story(g=policy(start="latest"))
        told.record("subscribe.invoke", process="c", session=1, topic="t", group="g")
        if not late:
            told.publish()
        told.record("subscribe.ok", session=1)
        if late:
            told.publish()
        told.drain()
        assert found(told) == codes


@pytest.mark.parametrize(
    "numbers", [{"pending": 1}, {"in_flight_again": 1}, {"last_again": 10}, {"gap": 9.0}], ids=str
)
def test_b2_without_proof_is_only_unseen(numbers: dict[str, Any]) -> None:
    told = Story()
    told.join()
    told.publish()
    told.drain(**numbers)
    assert found(told) == set()
    assert findings(told)["B7"].count == 1


def test_b2_the_gap_must_exceed_the_longest_delay_asked_for() -> None:
    for gap, codes in ((20.0, set()), (21.0, {"B2"})):
        told = Story()
        session = told.join()
        call, _ = told.publish("k"), told.publish("l")
        told.nack(told.deliver(session, call), delay=20.0)
        told.wait(20)
        told.handle(session, call)
        told.drain(gap=gap)
        assert found(told) == codes, gap


def test_b2_silence_proves_it_without_counters() -> None:
    for silence, codes in ((4.9, set()), (5.0, {"B2"})):
        told = Story()
        told.join()
        told.publish()
        told.record("drained", topic="t", group="g", numbers={"silence_ns": int(silence * SECOND)})
        assert found(told) == codes


def test_b2_published_after_the_drain_is_only_unseen() -> None:
    told = Story()
    told.join()
    told.drain()
    told.publish()
    assert found(told) == set()


def test_b2_dead_lettered_is_not_lost() -> None:
    told = Story()
    told.join()
    call = told.publish()
    told.drain()
    told.dead(call, reason="expired")
    assert found(told) == set()


def test_b2_a_deleted_group_owes_only_what_came_after() -> None:
    told = Story()
    told.join()
    told.publish()
    told.record("group.deleted", topic="t", group="g")
    told.join()
    told.drain()
    assert found(told) == set()


def test_b2_a_kill_excuses_unless_messages_survive_it() -> None:
    for survives, codes in (((), set()), (("broker-kill",), {"B2"})):
        told = Story(claims(survives=Survives(messages=survives)))
        told.join()
        told.publish()
        told.record("broker.killed")
        told.record("broker.ready")
        told.drain()
        assert found(told) == codes


def test_b2_a_repeat_taken_by_the_consumer_is_not_lost() -> None:
    for scope, codes in (("topic", set()), ("none", {"B2"})):
        told = Story(
            claims(consume_dedup=Deduplication(scope=scope, window=60.0), publish_dedup=Deduplication())
        )
        session, call = told.join(), told.publish()
        told.publish(event=call)
        told.handle(session, call)
        told.drain()
        assert found(told) == codes


def test_b2_a_repeat_of_another_key_is_not_taken_under_scope_key() -> None:
    for key, codes in (("k", set()), ("l", {"B2"})):
        dedup = Deduplication(scope="key", window=60.0)
        told = Story(claims(consume_dedup=dedup, publish_dedup=Deduplication()))
        session, call = told.join(), told.publish("k")
        told.publish(key, event=call)
        told.handle(session, call)
        told.drain()
        assert found(told) == codes


def test_b2_a_repeat_whose_fate_the_broker_does_not_tell_is_not_owed() -> None:
    told = Story()
    session, call = told.join(), told.publish()
    told.publish(event=call, duplicate=None)
    told.handle(session, call)
    told.drain()
    assert found(told) == set()


def test_b2_of_two_overlapping_calls_of_an_event_neither_is_surely_the_one_stored() -> None:
    told = Story()
    session, first = told.join(), told.invoke()
    second = told.invoke(event=first)
    told.outcome(second, duplicate=None)
    told.outcome(first, duplicate=None)
    told.handle(session, second)
    told.drain()
    assert found(told) == set()


def test_b1_a_later_event_of_the_key_was_delivered() -> None:
    told = Story()
    session = told.join()
    told.publish("k")
    told.handle(session, told.publish("k"))
    assert found(told) == {"B1"}


def test_b1_between_two_that_were_delivered() -> None:
    told = Story()
    session, one = told.join(), told.publish("k")
    told.publish("k")
    three = told.publish("k")
    told.handle(session, one)
    told.handle(session, three)
    assert found(told) == {"B1"}
    violation = findings(told)["B1"].violations[0]
    assert (violation.calls, violation.group) == ((2, 3), "g")
    assert violation.message == (
        "Call 2 never reached group g, though call 3, published after it was confirmed, did."
    )


@pytest.mark.parametrize("keys", [("k", "l"), ("", "")])
def test_b1_other_keys_and_no_key_prove_nothing(keys: tuple[str, str]) -> None:
    told = Story()
    session = told.join()
    told.publish(keys[0])
    told.handle(session, told.publish(keys[1]))
    assert found(told) == set()


def test_b1_what_is_still_to_come_is_no_exercise() -> None:
    told = Story()
    session = told.join()
    told.handle(session, told.publish("k"))
    told.publish("k")
    assert (found(told), findings(told)["B1"].exercised) == (set(), 1)


def test_b1_by_topic_needs_no_key() -> None:
    told = Story(claims(ordering=Ordering(scope="topic")))
    session = told.join()
    told.publish()
    told.handle(session, told.publish())
    assert found(told) == {"B1"}


def test_b1_where_no_order_is_claimed_a_later_event_proves_nothing() -> None:
    told = Story(claims(ordering=Ordering()), g=policy(), h=policy())
    session, other = told.join("g"), told.join("h")
    one, two = told.publish("k"), told.publish("k")
    told.handle(session, two)
    told.handle(other, one)
    result = findings(told)
    assert (result["B1"].count, result["B1"].exercised, result["B5"].count) == (0, 0, 0)


def test_b1_overlapping_publishes_prove_nothing() -> None:
    told = Story()
    session = told.join()
    one, two = told.invoke("k", by="p"), told.invoke("k", by="q")
    told.outcome(one)
    told.outcome(two)
    told.handle(session, two)
    assert found(told) == set()


def test_b1_void_while_an_older_next_is_open() -> None:
    told = Story()
    session, other = told.join(), told.join()
    told.publish("k")
    told.next(other)
    told.handle(session, told.publish("k"))
    assert found(told) == set()
    assert findings(told)["B1"].void == 1


def test_b3_never_settled_and_never_handed_out_again() -> None:
    told = Story()
    told.nack(told.deliver(told.join(), told.publish()))
    told.drain()
    assert found(told) == {"B3"}


def test_b3_is_exercised_by_hand_outs_that_failed() -> None:
    told = Story()
    session, one, two = told.join(), told.publish(), told.publish()
    told.nack(told.deliver(session, one))
    told.handle(session, one)
    told.handle(session, two)
    told.drain()
    assert (found(told), findings(told)["B3"].exercised) == (set(), 1)


@pytest.mark.parametrize("outcome", ["ok", "indeterminate", "open"])
def test_b3_an_ack_that_may_have_worked_excuses(outcome: str) -> None:
    told = Story()
    told.ack(told.deliver(told.join(), told.publish()), outcome)
    told.drain()
    assert found(told) == set()


def test_b3_a_refused_ack_does_not() -> None:
    told = Story()
    told.ack(told.deliver(told.join(), told.publish()), "rejected", why="lease-expired")
    told.drain()
    assert found(told) == {"B3"}


def test_b3_dead_lettered_is_not_lost() -> None:
    told = Story(g=policy(max_attempts=1))
    call = told.publish()
    told.nack(told.deliver(told.join(), call))
    told.drain()
    told.dead(call, attempt=1)
    assert found(told) == set()


def test_b3_another_copy_of_the_call_excuses() -> None:
    told = Story()
    session, call = told.join(), told.publish()
    told.nack(told.deliver(session, call, position="1"))
    told.handle(session, call, position="9")
    told.drain()
    assert "B3" not in found(told)


def test_b3_handed_out_after_the_drain_is_only_unseen() -> None:
    told = Story()
    session, call = told.join(), told.publish()
    told.drain()
    told.deliver(session, call)
    assert found(told) == set()
    assert findings(told)["B7"].count == 1


def passed(position: str, *, act: str) -> Story:
    told = Story()
    session = told.join()
    told.handle(session, told.publish())
    two = told.publish()
    if act != "nothing":
        delivery = told.deliver(session, two)
        if act == "ack":
            told.record("ack.invoke", delivery=delivery)
    told.record("group.position", topic="t", group="g", partition=0, position=position)
    return told


def test_b4_the_position_passes_only_what_an_ack_was_invoked_for() -> None:
    assert found(passed("2", act="ack")) == set()
    assert found(passed("1", act="deliver")) == set()
    assert found(passed("2", act="deliver")) == {"B4"}
    assert found(passed("2", act="nothing")) == {"B4"}


def test_b4_what_is_not_owed_may_be_passed() -> None:
    told = Story(g=policy(types=("x.*",)))
    told.join()
    told.publish()
    told.record("group.position", topic="t", group="g", partition=0, position="1")
    assert found(told) == set()


def test_b4_other_partitions_are_untouched() -> None:
    told = Story()
    told.deliver(told.join(), told.publish())
    told.record("group.position", topic="t", group="g", partition=1, position="5")
    assert found(told) == set()


def test_b4_a_dead_letter_may_be_passed() -> None:
    told = Story(g=policy(max_attempts=1))
    call = told.publish()
    told.nack(told.deliver(told.join(), call))
    told.record("group.position", topic="t", group="g", partition=0, position="1")
    told.dead(call, attempt=1)
    assert found(told) == set()


def test_b5_what_is_still_to_come_for_a_group_is_no_exercise() -> None:
    for drained, exercised in ((False, 1), (True, 2)):
        told = Story(g=policy(), h=policy())
        session, call = told.join("g"), told.publish()
        other = told.join("h")
        told.handle(other, call)
        told.handle(session, call)
        told.handle(other, told.publish())
        if drained:
            told.drain("g")
        assert findings(told)["B5"].exercised == 1 + exercised


def test_b5_names_the_group_that_got_it() -> None:
    told = Story(g=policy(), h=policy())
    told.join("g")
    told.handle(told.join("h"), told.publish())
    told.drain("g")
    assert found(told) == {"B2", "B5"}
    assert "group h but not group g" in findings(told)["B5"].violations[0].message


@pytest.mark.parametrize(
    ("start", "first", "codes"),
    [("earliest", True, {"B2", "B6"}), ("earliest", False, {"B2"}), ("latest", True, set())],
)
def test_b6_lost_though_it_was_there_before_the_group(start: Any, first: bool, codes: set[str]) -> None:
    told = Story(g=policy(start=start))
    if first:
        told.publish()
    told.join()
    if not first:
        told.publish()
    told.drain()
    assert found(told) == codes
    assert findings(told)["B6"].exercised == ("B6" in codes)


def test_b6_needs_no_drain_where_a_later_event_of_the_key_came() -> None:
    told = Story()
    told.publish("k")
    later = told.publish("k")
    told.handle(told.join(), later)
    assert found(told) == {"B1", "B6"}


@pytest.mark.parametrize("outcome", ["indeterminate", "open"])
def test_b6_what_was_not_confirmed_before_the_first_subscribe_is_no_start(outcome: str) -> None:
    told = Story()
    call = told.invoke()
    if outcome != "open":
        told.outcome(call, outcome)
    told.join()
    if outcome == "open":
        told.outcome(call)
    told.drain()
    told.log((call, "1"))
    assert found(told) == {"B2"}
