"""C1-C3, C8, C10."""

from __future__ import annotations

import pytest

from eventproof.adapters.claims import Survives
from tests.conformance.histories import SECOND, Story, claims
from tests.conformance.rules.found import findings, found


def acked() -> tuple[Story, int, int]:
    """One event acked by session 1."""
    told = Story()
    session, call = told.join(), told.publish()
    told.handle(session, call)
    return told, session, call


def held(**changes: object) -> tuple[Story, int, int, int]:
    """One event held by session 1."""
    told = Story(claims(**changes))
    session, call = told.join(), told.publish()
    return told, session, call, told.deliver(session, call)


def test_c1_after_ack_ok_in_the_same_or_another_session() -> None:
    told, session, call = acked()
    told.deliver(session, call)
    assert found(told) == {"C1"}
    told, _, call = acked()
    told.deliver(told.join(), call)
    assert found(told) == {"C1"}


def test_c1_is_exercised_by_what_was_settled_and_shows_all_of_it() -> None:
    told, session, call = acked()
    told.nack(told.deliver(session, told.publish()))
    assert findings(told)["C1"].exercised == 1
    told.deliver(session, call)
    violation = findings(told)["C1"].violations[0]
    kinds = [told.records[i - 1].kind for i in violation.records]
    assert (kinds, violation.calls) == (["deliver", "ack.invoke", "ack.ok", "deliver"], (call,))


def test_c1_neither_lease_end_nor_leaving_after_the_ack_permits_it() -> None:
    told, session, call = acked()
    told.close(session)
    told.wait(100)
    told.deliver(told.join(), call)
    assert found(told) == {"C1"}


def test_c1_an_unknown_ack_settles_nothing() -> None:
    told, session, call, delivery = held()
    told.ack(delivery, "indeterminate")
    told.wait(10)
    told.handle(session, call)
    assert found(told) == set()


def test_c1_on_its_way_before_the_ack_returned() -> None:
    told, session, call, delivery = held()
    told.record("ack.invoke", delivery=delivery)
    told.close(session)
    told.record("ack.ok", delivery=delivery)
    told.handle(told.join(), call)
    assert found(told) == set()


def test_c1_an_ack_at_the_end_of_the_lease_is_void_one_after_it_permits() -> None:
    for wait, void in ((9.95, 1), (10.05, 0)):
        told, session, call, delivery = held()
        told.wait(wait)
        told.ack(delivery)
        told.handle(session, call)
        assert found(told) == set(), wait
        assert findings(told)["C1"].void == void


def test_c1_after_a_reject() -> None:
    told, session, call, delivery = held()
    told.reject(delivery)
    told.deliver(session, call)
    assert found(told) == {"C1"}


@pytest.mark.parametrize("survives", [(), ("broker-kill",)])
def test_c1_a_kill_excuses_unless_acks_survive_it(survives: tuple[str, ...]) -> None:
    told, session, call, delivery = held(survives=Survives(acks=survives))
    told.ack(delivery)
    told.record("broker.killed")
    told.record("broker.ready")
    told.handle(session, call)
    assert found(told) == ({"C1"} if survives else set())


@pytest.mark.parametrize("survives", [(), ("consumer-loss",)])
def test_c1_a_killed_consumer_excuses_unless_acks_survive_it(survives: tuple[str, ...]) -> None:
    told, _, call, delivery = held(survives=Survives(acks=survives))
    told.ack(delivery)
    told.record("consumer.killed", process="c1")
    told.handle(told.join(), call)
    assert found(told) == ({"C1"} if survives else set())


def test_c1_an_ack_that_is_only_sent_may_be_lost_with_the_session() -> None:
    for lost, codes in ((True, set()), (False, {"C1"})):
        told, session, call, delivery = held(ack="sent")
        told.ack(delivery)
        if lost:
            told.record("session.lost", session=session)
            session = told.join()
        told.deliver(session, call)
        assert found(told) == codes
        assert findings(told)["C1"].void == lost


def test_c1_a_reject_that_returned_is_forgotten_with_its_consumer_too() -> None:
    for orderly, codes in ((False, set()), (True, {"C1"})):
        told, session, call, delivery = held(ack="sent")
        told.reject(delivery)
        told.record("session.closed" if orderly else "session.lost", session=session)
        told.deliver(told.join(), call)
        assert found(told) == codes


def test_c1_a_stale_nack_that_was_not_refused_had_sent_it_on_its_way() -> None:
    for outcome, codes in (("ok", set()), ("rejected", {"C1"})):
        told, _, call, delivery = held()
        told.lose(delivery)
        again = told.deliver(told.join(), call)
        told.nack(delivery, outcome)
        told.ack(again)
        told.deliver(told.join(), call)
        assert found(told) == codes


def test_c2_again_in_the_session_that_holds_it() -> None:
    told, session, call, _ = held()
    told.deliver(session, call)
    assert found(told) == {"C2"}


def test_c3_in_another_session_while_it_is_held() -> None:
    told, _, call, _ = held()
    told.deliver(told.join(), call)
    assert found(told) == {"C3"}


def release(told: Story, how: str, session: int, delivery: int) -> None:
    if how == "nack":
        told.nack(delivery)
    elif how == "nack open":
        told.record("nack.invoke", delivery=delivery, delay=0.0)
    elif how == "lease.lost":
        told.lose(delivery)
    elif how == "refused as expired":
        told.ack(delivery, "rejected", why="lease-expired")
    elif how == "lease end":
        told.wait(10.1)
    elif how in {"session.closed", "session.lost"}:
        told.record(how, session=session)
    elif how == "link.cut":
        told.record(how, process="c1")
    else:
        told.record(how, **({"process": "c1"} if how.startswith("consumer") else {}))


HOW = [
    "nack", "nack open", "lease.lost", "refused as expired", "lease end", "session.closed", "session.lost",
    "consumer.killed", "link.cut", "broker.killed", "broker.paused",
]  # fmt: skip


@pytest.mark.parametrize("how", HOW)
def test_c3_each_release_permits_another_delivery(how: str) -> None:
    told, session, call, delivery = held()
    release(told, how, session, delivery)
    told.handle(told.join(), call)
    assert found(told) == set()


@pytest.mark.parametrize("how", [how for how in HOW if how not in {"lease end", "nack open"}])
def test_c3_no_release_permits_it_when_it_comes_later(how: str) -> None:
    told, session, call, delivery = held()
    told.ack(told.deliver(told.join(), call), "indeterminate")
    release(told, how, session, delivery)
    assert found(told) == {"C3"}


def test_c3_a_refused_nack_permits_nothing() -> None:
    told, _, call, delivery = held()
    told.nack(delivery, "rejected")
    told.deliver(told.join(), call)
    assert found(told) == {"C3"}


def test_c3_a_cut_of_another_link_permits_nothing() -> None:
    told, _, call, _ = held()
    told.record("link.cut", process="c2")
    told.deliver(told.join(), call)
    assert found(told) == {"C3"}


def test_c3_within_slack_of_the_lease_end_is_void() -> None:
    for wait, codes, void in ((9.8, {"C3"}, 0), (9.95, set(), 1), (10.0, set(), 0)):
        told, _, call, _ = held()
        session = told.join()
        told.wait(wait)
        told.handle(session, call)
        assert found(told) == codes, wait
        assert findings(told)["C3"].void == void, wait


def test_c3_a_stall_widens_the_slack() -> None:
    told, _, call, _ = held()
    session = told.join()
    told.wait(9.7)
    told.record("stall", numbers={"ns": 250_000_000})
    told.handle(session, call)
    assert found(told) == set()
    assert findings(told)["C3"].void == 1


@pytest.mark.parametrize(("stalled", "codes"), [(9.95, set()), (5.0, {"C1", "C3", "C8"})])
def test_c3_c1_and_c8_a_stall_before_the_hand_out_too(stalled: float, codes: set[str]) -> None:
    """A process that stood still reads late what the broker sent, and the broker's lease began with the
    sending: the event was due for another member by then."""
    told = Story(claims())
    call, first, second = told.publish(), told.join(), told.join()
    told.next(first)
    told.next(second)
    told.wait(stalled)
    told.record("stall", numbers={"ns": int(stalled * SECOND)})
    late = told.hand(first, call)
    again = told.hand(second, call)
    told.ack(late)
    told.deliver(first, call)
    told.ack(again)
    assert found(told) == codes


@pytest.mark.parametrize(
    ("outcome", "codes"), [("ok", {"C3"}), ("rejected", set()), ("indeterminate", set())]
)
def test_c3_an_extend_that_returned_renews_the_lease(outcome: str, codes: set[str]) -> None:
    told, _, call, delivery = held()
    session = told.join()
    told.wait(8)
    told.settle("extend", delivery, outcome)
    told.wait(8)
    told.handle(session, call)
    assert found(told) == codes


def test_c3_an_extend_of_a_lapsed_lease_renews_nothing() -> None:
    told, _, call, delivery = held()
    session = told.join()
    told.wait(11)
    told.settle("extend", delivery)
    told.handle(session, call)
    assert found(told) == set()


def test_c3_a_stale_nack_that_was_not_refused_permits_it() -> None:
    told, _, call, delivery = held()
    told.lose(delivery)
    other = told.join()
    told.deliver(other, call)
    told.nack(delivery)
    told.handle(told.join(), call)
    assert found(told) == set()


def test_c8_an_ack_after_the_next_hand_out_must_be_refused() -> None:
    for outcome, codes in (("rejected", set()), ("ok", {"C8"})):
        told, _, call, delivery = held()
        told.lose(delivery)
        again = told.deliver(told.join(), call)
        told.ack(delivery, outcome)
        told.ack(again)
        assert found(told) == codes
        assert findings(told)["C8"].exercised == 1


def test_c8_the_second_stale_ack_must_be_refused_as_well() -> None:
    told, _, call, delivery = held()
    told.lose(delivery)
    again = told.deliver(told.join(), call)
    told.ack(delivery, "rejected")
    told.ack(delivery)
    told.ack(again)
    assert found(told) == {"C8"}
    assert findings(told)["C8"].exercised == 2


def test_c8_an_ack_invoked_before_the_next_hand_out_is_not_stale() -> None:
    told, _, call, delivery = held()
    told.record("ack.invoke", delivery=delivery)
    told.lose(delivery)
    told.deliver(told.join(), call)
    told.record("ack.ok", delivery=delivery)
    assert "C8" not in found(told)


def test_c8_a_repeat_of_an_ack_that_had_returned_is_a_no_op() -> None:
    told, session, call = acked()
    told.deliver(session, call)
    told.ack(1)
    assert found(told) == {"C1"}


def test_c8_says_nothing_where_acks_are_only_sent() -> None:
    told, _, call, delivery = held(ack="sent")
    told.lose(delivery)
    told.deliver(told.join(), call)
    told.ack(delivery)
    assert found(told) == set()
    assert findings(told)["C8"].void == 1


def test_c10_at_most_once_means_once_for_each_group() -> None:
    for times, codes in ((1, set()), (2, {"C10"})):
        told = Story(claims(duplicates="never", loss="may"))
        session, call = told.join(), told.publish()
        for _ in range(times):
            told.nack(told.deliver(session, call))
        assert found(told) == codes
