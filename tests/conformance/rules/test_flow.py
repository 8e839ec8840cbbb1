"""F1, F2, L1, L2, H1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eventproof.adapters.claims import Survives
from tests.conformance.histories import SECOND, Story, claims, policy
from tests.conformance.rules.found import findings, found


def full(limit: int = 2) -> tuple[Story, int, list[int]]:
    """A session that holds as much as it may."""
    told = Story(g=policy(max_in_flight=limit))
    session = told.join()
    return told, session, [told.deliver(session, told.publish()) for _ in range(limit)]


def test_f1_one_more_than_max_in_flight() -> None:
    told, session, _ = full()
    assert found(told) == set()
    told.deliver(session, told.publish())
    assert found(told) == {"F1"}


@pytest.mark.parametrize("verb", ["ack", "nack", "reject"])
def test_f1_a_settle_that_was_invoked_frees_its_place(verb: str) -> None:
    told, session, deliveries = full()
    told.record(f"{verb}.invoke", delivery=deliveries[0])
    told.deliver(session, told.publish())
    told.record(f"{verb}.ok", delivery=deliveries[0])
    assert found(told) == set()


@pytest.mark.parametrize("verb", ["ack", "nack", "reject"])
def test_f1_a_refusal_gives_it_back(verb: str) -> None:
    told, session, deliveries = full()
    told.settle(verb, deliveries[0], "rejected")
    told.deliver(session, told.publish())
    assert found(told) == {"F1"}


@pytest.mark.parametrize("verb", ["ack", "nack", "reject"])
def test_f1_but_not_before_it_is_known(verb: str) -> None:
    told, session, deliveries = full()
    told.record(f"{verb}.invoke", delivery=deliveries[0])
    told.deliver(session, told.publish())
    told.record(f"{verb}.rejected", delivery=deliveries[0])
    assert found(told) == set()


@pytest.mark.parametrize(("wait", "codes", "void"), [(9.8, {"F1"}, 0), (9.95, set(), 1), (10.1, set(), 0)])
def test_f1_a_lease_that_ended_is_not_held(wait: float, codes: set[str], void: int) -> None:
    told, session, _ = full()
    told.wait(wait)
    told.deliver(session, told.publish())
    assert found(told) == codes
    assert findings(told)["F1"].void == void


def test_f1_each_session_has_its_own_bound() -> None:
    told, _, _ = full()
    told.deliver(told.join(), told.publish())
    assert found(told) == set()


@pytest.mark.parametrize(("late", "codes", "void"), [(-0.1, set(), 0), (0.05, set(), 1), (0.2, {"F2"}, 0)])
def test_f2_after_its_expiry(late: float, codes: set[str], void: int) -> None:
    told = Story()
    session, call = told.join(), told.publish(expires=5 * SECOND)
    told.time = int((5 + late) * SECOND)
    told.handle(session, call)
    assert found(told) == codes
    assert findings(told)["F2"].void == void


@pytest.mark.parametrize(
    ("settled", "exercised"), [("before", 0), ("after", 1), ("never", 1), ("refused", 1)]
)
def test_f2_is_exercised_by_what_expires_before_it_is_settled(settled: str, exercised: int) -> None:
    told = Story()
    session, call = told.join(), told.publish(expires=5 * SECOND)
    delivery = told.deliver(session, call)
    if settled == "after":
        told.wait(6)
    if settled != "never":
        told.ack(delivery, "rejected" if settled == "refused" else "ok")
    told.wait(6)
    told.record("end")
    assert (found(told), findings(told)["F2"].exercised) == (set(), exercised)


def test_f2_is_not_exercised_by_what_nobody_can_be_given() -> None:
    told = Story(g=policy(types=("x.*",)), h=policy(start="latest"))
    told.publish(expires=SECOND)
    told.publish(expires=SECOND, outcome="rejected")
    told.publish(expires=SECOND, type="x.y", outcome="rejected")
    told.join("g")
    told.join("h")
    told.wait(2)
    told.record("end")
    assert (found(told), findings(told)["F2"].exercised) == (set(), 0)


def probe(told: Story, outcome: str = "ok", **fields: Any) -> int:
    call = told.invoke(**fields)
    told.record("probe", call=call)
    told.outcome(call, outcome)
    return call


@pytest.mark.parametrize(("wait", "codes"), [(29.0, set()), (31.0, {"L1"})])
def test_l1_a_probe_is_not_handed_out_in_time(wait: float, codes: set[str]) -> None:
    for delivered in (True, False):
        told = Story()
        session = told.join()
        told.next(session)
        call = probe(told)
        told.wait(wait)
        if delivered:
            told.ack(told.hand(session, call))
        else:
            told.record("end")
        assert found(told) == codes
        assert findings(told)["L1"].exercised == 1


def test_l1_time_counts_only_while_somebody_waits() -> None:
    told = Story()
    call = probe(told)
    told.wait(31)
    told.handle(told.join(), call)
    assert found(told) == set()


def test_l1_time_starts_anew_with_a_heal_and_with_other_first_hand_outs() -> None:
    for heal in (True, False):
        told = Story()
        session = told.join()
        told.next(session)
        other, call = told.publish(), probe(told)
        told.wait(20)
        if heal:
            told.record("broker.ready")
        told.ack(told.hand(session, other))
        told.next(session)
        told.wait(20)
        told.ack(told.hand(session, call))
        assert found(told) == set()


def test_l1_a_wait_that_was_given_up_early_proves_nothing() -> None:
    for wait, codes in ((29.0, set()), (31.0, {"L1"})):
        told = Story()
        session = told.join()
        told.next(session)
        probe(told)
        told.wait(wait)
        told.close(session)
        told.wait(60)
        told.record("end")
        assert found(told) == codes


def test_l1_a_probe_of_another_filter_is_not_awaited() -> None:
    told = Story(g=policy(types=("x.*",)))
    told.next(told.join())
    probe(told)
    told.wait(31)
    told.record("end")
    assert found(told) == set()


@pytest.mark.parametrize(
    ("wait", "outcome", "codes"),
    [(31.0, "indeterminate", {"L2"}), (29.0, "indeterminate", set()), (31.0, "ok", set())],
)
def test_l2_no_probe_can_be_published_in_time(wait: float, outcome: str, codes: set[str]) -> None:
    told = Story()
    probe(told, "indeterminate")
    told.wait(1)
    probe(told, outcome)
    told.wait(wait)
    told.record("end")
    assert found(told) == codes
    assert findings(told)["L2"].void == (outcome != "ok" and not codes)


FAULTS = [
    ("broker.killed", "broker.ready"), ("broker.paused", "broker.resumed"), ("link.cut", "link.healed"),
    ("consumer.paused", "consumer.resumed"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "heal"), FAULTS)
def test_l1_and_l2_wait_until_no_fault_is_left(fault: str, heal: str) -> None:
    for healed, codes in ((False, set()), (True, {"L1", "L2"})):
        told = Story(claims(survives=Survives(messages=("broker-kill",))))
        told.next(told.join(process="c1"))
        probe(told)
        about = {} if fault.startswith("broker") else {"process": "c1"}
        told.record(fault, **about)
        if healed:
            told.record(heal, **about)
        probe(told, "rejected")
        told.wait(31)
        told.record("end")
        assert found(told) == codes, healed


def test_l1_a_consumer_that_stood_still_and_was_killed_is_no_fault_that_is_left() -> None:
    told = Story()
    told.join(process="c1")
    told.next(told.join(process="c2"))
    told.record("consumer.paused", process="c1")
    told.record("consumer.killed", process="c1")
    probe(told)
    told.wait(31)
    told.record("end")
    assert found(told) == {"L1"}


def test_l1_what_was_stuck_before_a_fault_that_is_left_is_a_hang() -> None:
    told = Story()
    told.next(told.join())
    probe(told)
    told.wait(31)
    told.record("broker.paused")
    told.record("end")
    assert found(told) == {"L1"}


def unknown_call(told: Story) -> None:
    told.record("publish.ok", call=1)


def completed_twice(told: Story) -> None:
    told.outcome(told.publish())


def call_again(told: Story) -> None:
    told.publish()
    told.record("publish.invoke", call=1, topic="t", event="s 1")


def session_again(told: Story) -> None:
    told.join()
    told.record("subscribe.invoke", process="c1", session=1, topic="t", group="g")


def not_asked(told: Story) -> None:
    told.hand(told.join(), told.publish())


def not_entered(told: Story) -> None:
    told.next(told.join(outcome="rejected"))


def unknown_session(told: Story) -> None:
    told.close(3)


def unknown_delivery(told: Story) -> None:
    told.record("ack.invoke", delivery=3)


def delivery_again(told: Story) -> None:
    session, call = told.join(), told.publish()
    told.deliver(session, call)
    told.number = 0
    told.deliver(session, call)


def no_open_act(told: Story) -> None:
    delivery = told.deliver(told.join(), told.publish())
    told.record("ack.invoke", delivery=delivery)
    told.record("nack.ok", delivery=delivery)


def unknown_kind(told: Story) -> None:
    told.record("deliverd")


def backwards_in_time(told: Story) -> None:
    told.record("end")
    told.time -= SECOND
    told.record("end")


def lost_but_never_held(told: Story) -> None:
    told.record("lease.lost", delivery=9)


MALFORMED = [
    session_again, unknown_call, completed_twice, call_again, not_asked, not_entered, unknown_session,
    unknown_delivery, delivery_again, no_open_act, unknown_kind, backwards_in_time, lost_but_never_held,
]  # fmt: skip


@pytest.mark.parametrize("tell", MALFORMED, ids=lambda tell: tell.__name__)
def test_h1_a_malformed_history_is_judged_no_further(tell: Callable[[Story], None]) -> None:
    told = Story()
    told.time = 10 * SECOND
    tell(told)
    assert found(told) == {"H1"}
    assert set(findings(told)) == {"H1"}
    assert f"at {len(told.records)} " in findings(told)["H1"].violations[0].message


@pytest.mark.parametrize("left_out", range(4))
def test_h1_a_history_counts_up_by_one(left_out: int) -> None:
    told = Story()
    for _ in range(5):
        told.record("stall", numbers={"ns": 0})
    del told.records[left_out]
    assert set(findings(told)) == {"H1"}
    (violation,) = findings(told)["H1"].violations
    assert violation.records == (left_out + 2,)
    assert f"follows {left_out}, " in violation.message


def test_h1_a_history_that_ends_too_early_is_whole_as_far_as_it_goes() -> None:
    told = Story()
    told.handle(told.join(), told.publish())
    for _ in range(len(told.records)):
        assert "H1" not in found(told)
        told.records.pop()


def test_at_most_twenty_violations_are_kept_and_all_are_counted() -> None:
    told = Story(claims(duplicates="never"))
    session = told.join()
    for _ in range(30):
        call = told.publish()
        told.nack(told.deliver(session, call))
        told.handle(session, call)
    finding = findings(told)["C10"]
    assert (finding.count, len(finding.violations), finding.exercised) == (30, 20, 30)


def test_h1_an_empty_history_is_whole() -> None:
    assert found(Story()) == set()
