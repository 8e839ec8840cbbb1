"""Faults: between which moments they lie, and what they take."""

from __future__ import annotations

from typing import Any

import pytest

from eventproof.adapters.claims import Deduplication, Survives
from eventproof.conformance.rules.judge import judge
from tests.conformance.histories import Story, claims, policy
from tests.conformance.rules.found import found

KILLED = ("broker.killed", "broker.ready")


def labelled(told: Story, code: str) -> dict[str, tuple[int, int]]:
    """By fault, what the rule's finding has of it: exercised and violations."""
    (finding,) = (one for one in judge(told.history()) if one.code == code)
    return {name: (part.exercised, part.count) for name, part in finding.under.items()}


# what a fault takes


@pytest.mark.parametrize(("fetched", "codes"), [("before", set()), ("after", {"C3", "E1l"})])
def test_c3_what_is_handed_out_in_an_outage_was_fetched_before_it(fetched: str, codes: set[str]) -> None:
    """The message was on its way when the broker was killed, and the broker forgot that it had sent it."""
    told = Story(claims(survives=Survives(messages=("broker-kill",), attempts=("consumer-loss",))))
    first, second, call = told.join(), told.join(), told.publish()
    told.next(first)
    told.record("broker.killed")
    if fetched == "before":
        told.hand(first, call, attempt=1)
    told.record("broker.ready")
    if fetched == "after":
        told.hand(first, call, attempt=1)
    told.deliver(second, call, attempt=1)
    assert found(told) & {"C1", "C2", "C3", "E1l"} == codes


@pytest.mark.parametrize(("ready", "codes"), [("after", set()), ("before", {"C1", "E1l"})])
def test_e1l_a_broker_may_hand_out_before_the_record_that_it_is_back(ready: str, codes: set[str]) -> None:
    """It is back, and has forgotten, at some moment of the outage that both hand-outs lie in."""
    told = Story(claims(survives=Survives(messages=("broker-kill",), attempts=("consumer-loss",))))
    first, second, call = told.join(), told.join(), told.publish()
    told.next(first)
    told.record("broker.killed")
    if ready == "before":
        told.record("broker.ready")
    delivery = told.hand(first, call, attempt=1)
    told.record("ack.invoke", delivery=delivery)
    told.record("ack.ok", delivery=delivery)
    told.deliver(second, call, attempt=1)
    if ready == "after":
        told.record("broker.ready")
    assert found(told) & {"C1", "C2", "C3", "E1l"} == codes


@pytest.mark.parametrize(("acked", "codes"), [("before", set()), ("after", {"C1"})])
def test_c1_an_ack_that_is_read_in_an_outage_was_confirmed_before_it(acked: str, codes: set[str]) -> None:
    told = Story(claims(survives=Survives(messages=("broker-kill",), acks=("consumer-loss",))))
    session, call = told.join(), told.publish()
    if acked == "before":
        delivery = told.deliver(session, call)
        told.record("ack.invoke", delivery=delivery)
        told.record("broker.killed")
        told.record("ack.ok", delivery=delivery)
        told.record("broker.ready")
    else:
        for kind in KILLED:
            told.record(kind)
        told.handle(session, call)
    told.deliver(session, call)
    assert found(told) & {"C1", "C2", "C3"} == codes


@pytest.mark.parametrize(("still", "codes"), [(False, {"C6"}), (True, set())])
def test_c6_a_broker_that_stands_still_forgets_nothing(still: bool, codes: set[str]) -> None:
    told = Story(claims(publish_dedup=Deduplication(scope="topic", window=5.0)))
    call = told.publish()
    if still:
        told.record("broker.paused")
    told.wait(30)
    if still:
        told.record("broker.resumed")
    told.publish(event=call, duplicate=True)
    assert found(told) & {"C6"} == codes


@pytest.mark.parametrize(("survives", "codes"), [((), set()), (("broker-kill",), {"E6"})])
def test_e6_an_ack_that_a_fault_may_take_does_not_count(survives: Any, codes: set[str]) -> None:
    """The broker forgot the ack with the kill, had the event again, and it had expired by then."""
    kept = Survives(messages=("broker-kill",), acks=survives)
    told = Story(claims(survives=kept), g=policy(dead_letter="dead"))
    session, call = told.join(), told.publish()
    told.handle(session, call)
    for kind in KILLED:
        told.record(kind)
    told.dead(call, reason="expired")
    assert found(told) & {"E6"} == codes


# what lies in between


def test_dur_009_a_loss_is_of_the_fault_between_the_confirm_and_the_drain() -> None:
    told = Story(claims(survives=Survives(messages=("broker-kill", "node-loss"))))
    told.join()
    told.record("broker.killed", reason="node-loss")
    told.record("broker.ready")
    told.publish()
    for kind in KILLED:
        told.record(kind)
    told.drain()
    assert labelled(told, "B2") == {"broker-kill": (1, 1)}


def test_dur_010_a_publish_is_in_flight_between_its_invoke_and_its_end() -> None:
    told = Story(claims(survives=Survives(messages=("broker-kill",))))
    session, call = told.join(), told.invoke()
    told.record("broker.killed")
    told.outcome(call, "rejected")
    told.record("broker.ready")
    told.publish()
    told.handle(session, call)
    assert labelled(told, "A2") == {"in-flight": (1, 1)}


@pytest.mark.parametrize(("who", "expected"), [("c1", {"consumer-loss": (1, 0)}), ("c2", {})])
def test_grp_003_a_kill_counts_for_what_the_killed_member_held(
    who: str, expected: dict[str, tuple[int, int]]
) -> None:
    told = Story()
    first, second, call = told.join(), told.join(), told.publish()
    told.deliver(first, call)
    told.record("consumer.killed", process=who)
    if who != "c1":
        told.close(first)
    told.handle(second, call, attempt=2)
    told.drain()
    assert labelled(told, "B3") == expected


def test_grp_006_an_ack_after_a_freeze_and_another_hand_out() -> None:
    told = Story()
    first, second, call = told.join(), told.join(), told.publish()
    delivery = told.deliver(first, call)
    told.record("consumer.paused", process="c1")
    told.wait(20)
    told.deliver(second, call, attempt=2)
    told.record("consumer.resumed", process="c1")
    told.ack(delivery)
    assert labelled(told, "C8") == {"consumer-pause": (1, 1)}


def test_red_008_a_kill_during_the_delay_of_a_nack() -> None:
    told = Story(claims(backoff="durable", survives=Survives(delays=("consumer-loss",))))
    first, second, call = told.join(), told.join(), told.publish()
    told.nack(told.deliver(first, call), delay=5.0)
    told.record("consumer.killed", process="c1")
    told.deliver(second, call, attempt=2)
    assert labelled(told, "E3") == {"consumer-loss": (1, 1)}


def test_red_007_attempts_begin_again_after_a_kill() -> None:
    told = Story(claims(survives=Survives(attempts=("consumer-loss",))))
    first, second, call = told.join(), told.join(), told.publish()
    told.deliver(first, call, attempt=1)
    told.record("consumer.killed", process="c1")
    told.deliver(second, call, attempt=1)
    assert labelled(told, "E1l") == {"consumer-loss": (1, 1)}


def test_grp_004_the_next_event_of_a_key_after_a_kill() -> None:
    told = Story()
    first, second = told.join(), told.join()
    one, two = told.publish("k"), told.publish("k")
    told.deliver(first, one)
    told.record("consumer.killed", process="c1")
    told.deliver(second, two)
    assert labelled(told, "D2") == {"consumer-loss": (1, 1)}


@pytest.mark.parametrize(("sign", "codes"), [(True, set()), (False, {"C3"})])
def test_c3_a_broker_may_know_of_a_kill_before_the_last_words_are_read(sign: bool, codes: set[str]) -> None:
    told = Story()
    first, second, call = told.join(), told.join(), told.publish()
    told.deliver(first, call)
    if sign:
        told.record("consumer.killing", process="c1")
    told.deliver(second, call, attempt=2)
    told.record("consumer.killed", process="c1")
    assert found(told) & {"C3"} == codes


def test_c3_what_was_read_after_a_kill_was_handed_out_before_it() -> None:
    told = Story()
    first, second, call = told.join(), told.join(), told.publish()
    told.next(first)
    told.record("consumer.killing", process="c1")
    told.hand(first, call)
    told.record("consumer.killed", process="c1")
    told.deliver(second, call, attempt=2)
    assert found(told) & {"C3"} == set()
