"""A1-A7."""

from __future__ import annotations

import pytest

from eventproof.adapters.claims import Ordering
from tests.conformance.histories import Story, claims, policy
from tests.conformance.rules.found import findings, found


def test_a1_an_event_that_was_published_is_no_phantom() -> None:
    told = Story()
    told.handle(told.join(), told.publish())
    assert found(told) == set()


@pytest.mark.parametrize("call", [0, 7])
def test_a1_an_event_that_nobody_published_is_a_phantom(call: int) -> None:
    told = Story()
    told.ack(told.deliver(told.join(), call, event="s 7"))
    assert found(told) == {"A1"}


def test_a1_a_hand_out_before_its_publish_is_a_phantom() -> None:
    told = Story()
    told.ack(told.deliver(told.join(), 1, event="s 1"))
    told.publish()
    assert found(told) == {"A1"}


def test_a1_a_hand_out_while_the_publish_is_open_is_none() -> None:
    told = Story()
    session, call = told.join(), told.invoke()
    told.handle(session, call)
    told.outcome(call)
    assert found(told) == set()


def test_a2_an_indeterminate_publish_may_be_delivered_a_rejected_one_may_not() -> None:
    for outcome, codes in (("indeterminate", set()), ("rejected", {"A2"})):
        told = Story()
        call = told.publish(outcome=outcome)
        told.handle(told.join(), call)
        assert found(told) == codes, outcome


def test_a2_another_call_of_the_event_excuses() -> None:
    told = Story()
    first = told.publish(outcome="rejected")
    told.publish(event=first)
    told.handle(told.join(), first)
    assert "A2" not in found(told)


@pytest.mark.parametrize("field", ["digest", "event", "type", "key"])
def test_a3_every_difference_is_corruption(field: str) -> None:
    told = Story()
    call = told.publish("k")
    told.ack(told.deliver(told.join(), call, **{field: "other"}))
    assert found(told) == {"A3"}


def test_a4_the_filter_matches_at_a_dot() -> None:
    for kind, codes in (("a.b.c", set()), ("a.bc", {"A4"})):
        told = Story(g=policy(types=("a.b.*",)))
        told.handle(told.join(), told.publish(type=kind))
        assert found(told) == codes, kind


def test_a4_an_event_of_another_topic() -> None:
    told = Story()
    told.ack(told.deliver(told.join(), told.publish(topic="u")))
    assert found(told) == {"A4"}


def test_a4p_a_contradicting_policy_must_be_refused() -> None:
    for outcome, codes in (("rejected", set()), ("ok", {"A4p"})):
        told = Story()
        told.join()
        told.join(reason="conflict", outcome=outcome)
        assert found(told) == codes, outcome


def test_a4p_without_a_group_there_is_nothing_to_contradict() -> None:
    told = Story()
    told.join(reason="conflict")
    assert (found(told), findings(told)["A4p"].exercised) == (set(), 0)
    told = Story()
    told.join()
    told.record("group.deleted", topic="t", group="g")
    told.join(reason="conflict")
    assert (found(told), findings(told)["A4p"].exercised) == (set(), 0)


def test_a4p_an_answer_that_no_one_knows_shows_nothing() -> None:
    told = Story()
    told.join()
    told.join(reason="conflict", outcome="indeterminate")
    assert (found(told), findings(told)["A4p"].exercised) == (set(), 0)


def test_a5_a_position_names_one_copy() -> None:
    told = Story()
    told.outcome(told.invoke(), position="1")
    told.outcome(told.invoke(), position="1", duplicate=True)  # names the original's
    assert "A5" not in found(told)
    told.outcome(told.invoke(), position="1")
    assert "A5" in found(told)


@pytest.mark.parametrize(("repeats", "codes"), [(True, set()), (False, {"A5"})])
def test_a5_a_receipt_that_does_not_say_duplicate_may_name_the_originals(
    repeats: bool, codes: set[str]
) -> None:
    told = Story()
    call = told.publish()
    told.outcome(told.invoke(event=call if repeats else 0), position="1", duplicate=None)
    assert found(told) == codes


def test_a5_in_a_read_of_the_log_and_per_partition() -> None:
    told = Story()
    first, second = told.publish(), told.publish()
    told.log((first, "1"), (second, "2"))
    assert found(told) == set()
    told.log((first, "1"), (second, "1"))
    assert found(told) == {"A5"}


def test_a5_a_changed_topic_starts_anew() -> None:
    told = Story()
    told.outcome(told.invoke(), position="1")
    told.record("topic.changed", topic="t")
    told.outcome(told.invoke(), position="1")
    assert found(told) == set()


def test_a6_a_latest_group_gets_nothing_confirmed_before_its_first_subscribe() -> None:
    told = Story(g=policy(start="latest"))
    early = told.publish()
    open_then = told.invoke()
    session = told.join()
    told.outcome(open_then)
    told.handle(session, open_then)
    assert found(told) == set()
    told.handle(session, early)
    assert found(told) == {"A6"}


def test_a6_counts_from_the_first_session_of_the_group() -> None:
    told = Story(g=policy(start="latest"))
    told.close(told.join())
    call = told.publish()
    told.handle(told.join(), call)
    assert found(told) == set()


def two_groups(*, asked_early: bool) -> Story:
    """Group g sees 1, 2; group h sees 2, 1, by one consumer or by two."""
    told = Story(claims(ordering=Ordering(scope="key", agreement="groups")), g=policy(), h=policy())
    g, h, other = told.join("g"), told.join("h"), told.join("h")
    one, two = told.invoke("k", by="p"), told.invoke("k", by="q")
    told.handle(g, one)
    told.handle(g, two)
    if asked_early:
        told.next(h)
        told.ack(told.deliver(other, two))
        told.ack(told.hand(h, one))
    else:
        told.ack(told.deliver(other, two))
        told.ack(told.deliver(h, one))
    return told


def test_a7_groups_disagree() -> None:
    assert found(two_groups(asked_early=False)) == {"A7"}


def test_a7_is_not_certain_while_the_next_was_already_open() -> None:
    assert found(two_groups(asked_early=True)) == set()


def test_a7_other_keys_have_no_common_order() -> None:
    told = Story(claims(ordering=Ordering(scope="key", agreement="groups")), g=policy(), h=policy())
    g, h = told.join("g"), told.join("h")
    one, two = told.invoke("k"), told.invoke("l")
    for session, first, second in ((g, one, two), (h, two, one)):
        told.handle(session, first)
        told.handle(session, second)
    assert found(told) == set()
