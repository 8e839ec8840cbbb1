"""C4-C7, C9."""

from __future__ import annotations

from typing import Any

import pytest

from eventproof.adapters.claims import Deduplication, Survives
from tests.conformance.histories import SECOND, Story, claims, policy
from tests.conformance.rules.found import findings, found


def test_c4_the_log_shows_a_call_twice() -> None:
    told = Story()
    call = told.publish()
    told.log((call, "1"))
    assert found(told) == set()
    told.log((call, "1"), (call, "2"))
    assert found(told) == {"C4"}


def test_c4_two_positions_where_positions_last() -> None:
    told = Story()
    session, call = told.join(), told.publish()
    told.handle(session, call)  # at the position of its confirm: positions last
    told.handle(session, call, position="7")
    assert found(told) == {"C4"}


def test_c4_is_not_judged_where_nothing_shows_that_positions_last() -> None:
    told = Story()
    session, call = told.join(), told.invoke()
    told.outcome(call, position="")
    told.nack(told.deliver(session, call, position="tag 1"))
    told.handle(session, call, position="tag 2")
    assert found(told) == set()
    assert findings(told)["C4"].exercised == 0


def repeat(after: float, *, duplicate: bool | None, **fields: Any) -> Story:
    """An event published twice, `after` seconds apart."""
    told = Story()
    call = told.publish("k")
    told.wait(after)
    told.publish(fields.pop("key", "k"), event=call, duplicate=duplicate, **fields)
    return told


def test_c5_stored_again_within_the_window() -> None:
    assert found(repeat(1, duplicate=True)) == set()
    assert found(repeat(1, duplicate=False)) == {"C5"}
    assert found(repeat(61, duplicate=False)) == set()
    assert [findings(repeat(after, duplicate=False))["C5"].void for after in (1, 61)] == [0, 0]


def test_c5_at_the_edge_of_the_window_is_void() -> None:
    told = repeat(59.95, duplicate=False)
    assert found(told) == set()
    assert findings(told)["C5"].void == 1


def test_c5_answered_duplicates_do_not_refresh_the_window() -> None:
    told = Story()
    call = told.publish()
    told.wait(40)
    told.publish(event=call, duplicate=True)
    told.wait(40)
    told.publish(event=call)
    assert found(told) == set()


def test_c5_the_window_counts_from_the_copy_stored_last() -> None:
    told = Story()
    call = told.publish()
    told.wait(61)
    told.publish(event=call)
    told.wait(40)
    told.publish(event=call)
    assert found(told) == {"C5"}


def test_c5_the_topic_may_set_its_own_window() -> None:
    told = Story(window=2.0)
    call = told.publish()
    told.wait(3)
    told.publish(event=call)
    assert found(told) == set()


@pytest.mark.parametrize(("scope", "codes"), [("key", set()), ("topic", {"C5"})])
def test_c5_scope(scope: Any, codes: set[str]) -> None:
    told = repeat(1, duplicate=False, key="l")
    told.header = Story(claims(publish_dedup=Deduplication(scope=scope, window=60.0))).header
    assert found(told) == codes


@pytest.mark.parametrize("outcome", ["indeterminate", "rejected"])
def test_c5_of_an_unknown_outcome_the_copy_must_be_seen(outcome: str) -> None:
    told = Story()
    call = told.publish(outcome=outcome)
    told.publish(event=call)
    assert found(told) == set()


@pytest.mark.parametrize(("known", "codes"), [(1.0, {"C5"}), (59.9, set()), (61.0, set())])
def test_c5_a_repeat_after_doubt_is_stored_once(known: float, codes: set[str]) -> None:
    """A copy without a confirm may have been stored as late as when it was first seen."""
    told = Story()
    session, call = told.join(), told.publish(outcome="indeterminate")
    again = told.publish(event=call)
    told.wait(known)
    told.handle(session, call)
    told.handle(session, again)
    assert found(told) == codes


def test_c5_a_repeat_without_a_confirm_is_stored_once() -> None:
    told = Story()
    session, call = told.join(), told.publish()
    again = told.publish(event=call, outcome="indeterminate")
    told.handle(session, call)
    assert found(told) == set()
    told.handle(session, again)
    assert found(told) == {"C5"}


def test_c5_where_the_broker_does_not_tell_the_copy_must_be_seen() -> None:
    told = repeat(1, duplicate=None)
    assert found(told) == set()
    session = told.join()
    told.handle(session, 1)
    told.handle(session, 2)
    assert found(told) == {"C5"}


def test_c5_a_kill_excuses_unless_dedup_survives_it() -> None:
    for survives, codes in (((), set()), (("broker-kill",), {"C5"})):
        told = Story(claims(survives=Survives(dedup=survives)))
        call = told.publish()
        told.record("broker.killed")
        told.publish(event=call)
        assert found(told) == codes


def test_c6_a_new_event_is_no_duplicate() -> None:
    told = Story()
    told.publish(duplicate=True)
    assert found(told) == {"C6"}


@pytest.mark.parametrize(("after", "codes", "void"), [(59, set(), 0), (60.05, set(), 1), (61, {"C6"}, 0)])
def test_c6_beyond_the_window(after: float, codes: set[str], void: int) -> None:
    told = repeat(after, duplicate=True)
    assert found(told) == codes
    assert findings(told)["C6"].void == void


def test_c6_an_unknown_earlier_outcome_excuses_however_long_ago() -> None:
    told = Story()
    call = told.publish(outcome="indeterminate")
    told.wait(100)
    told.publish(event=call, duplicate=True)
    assert found(told) == set()


def test_c6_a_rejected_call_explains_nothing() -> None:
    told = Story()
    call = told.publish(outcome="rejected")
    told.publish(event=call, duplicate=True)
    assert found(told) == {"C6"}


def test_c6_a_concurrent_call_explains_it() -> None:
    told = Story()
    first = told.invoke()
    second = told.invoke(event=first)
    told.outcome(first, duplicate=True)
    told.outcome(second)
    assert found(told) == set()


def test_c6_under_scope_key_another_key_explains_nothing() -> None:
    told = repeat(1, duplicate=True, key="l")
    assert found(told) == set()
    told.header = Story(claims(publish_dedup=Deduplication(scope="key", window=60.0))).header
    assert found(told) == {"C6"}


def ghost(*, seen: bool, log: bool) -> Story:
    told = Story()
    session = told.join()
    call = told.publish(outcome="indeterminate")
    told.publish(event=call, duplicate=True)
    if seen:
        told.handle(session, call)
    if log:
        told.log(*(((call, "1"),) if seen else ()))
    else:
        told.drain()
    return told


@pytest.mark.parametrize("log", [True, False])
def test_c7_the_original_must_be_somewhere(log: bool) -> None:
    assert found(ghost(seen=True, log=log)) == set()
    assert found(ghost(seen=False, log=log)) == {"C7"}


def test_c7_needs_a_place_where_the_original_must_show() -> None:
    told = Story(g=policy(start="latest"))
    call = told.publish(outcome="indeterminate")
    told.join()
    told.publish(event=call, duplicate=True)
    told.drain()
    assert found(told) == set()


def expiring(after: float, *, first: float = 0, again: float = 0, log: bool = False) -> Story:
    """An event published twice and never seen. first, again: seconds after which each call's copy expires."""
    told = Story()
    told.join()
    call = told.publish(expires=int(first * SECOND))
    told.publish(event=call, duplicate=True, expires=int(again * SECOND))
    told.wait(after)
    told.log() if log else told.drain()
    return told


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(
    ("expiry", "after", "codes"),
    [
        ({"first": 2}, 5, set()),  # unseen and gone by right; the repetition was a duplicate of it
        ({"first": 5.05}, 5, set()),
        ({"first": 9}, 5, {"C7"}),
        ({"again": 2}, 5, {"C7"}),  # how long the original lasts is its own matter
        ({"first": 2, "again": 2}, 5, set()),
    ],
)
def test_c7_an_original_that_expired_unseen_is_no_ghost(
    log: bool, expiry: dict[str, float], after: float, codes: set[str]
) -> None:
    told = expiring(after, log=log, **expiry)
    assert "C7" in codes or findings(told)["C7"].exercised == 0
    assert {code for code in found(told) if code == "C7"} == codes


def test_c7_a_group_decides_if_it_wants_the_original() -> None:
    for kind, codes in (("a.b", {"C7"}), ("x.y", set())):
        told = Story(g=policy(types=("a.*",)))
        told.join()
        call = told.publish(outcome="indeterminate", type=kind)
        told.publish(event=call, duplicate=True)
        told.drain()
        assert found(told) == codes


CONSUMED = claims(consume_dedup=Deduplication(scope="topic", window=60.0), publish_dedup=Deduplication())


@pytest.mark.parametrize(
    ("outcome", "after", "codes"), [("ok", 1, {"C9"}), ("indeterminate", 1, set()), ("ok", 61, set())]
)
def test_c9_handed_out_after_another_call_of_it_was_settled(
    outcome: str, after: float, codes: set[str]
) -> None:
    told = Story(CONSUMED)
    session, call = told.join(), told.publish()
    again = told.publish(event=call)
    told.ack(told.deliver(session, call), outcome)
    told.wait(after)
    told.handle(session, again)
    assert found(told) == codes


def test_c9_is_exercised_only_by_copies_that_were_stored() -> None:
    for duplicate, exercised in ((False, 1), (True, 0)):
        told = Story(CONSUMED)
        session, call = told.join(), told.publish()
        told.publish(event=call, duplicate=duplicate)
        told.handle(session, call)
        assert (found(told), findings(told)["C9"].exercised) == (set(), exercised)


def test_c9_handed_out_before_the_settlement() -> None:
    told = Story(CONSUMED)
    session, call = told.join(), told.publish()
    again = told.publish(event=call)
    first, second = told.deliver(session, call), told.deliver(session, again)
    told.ack(first)
    told.ack(second)
    assert found(told) == set()
