"""E1-E3."""

from __future__ import annotations

import pytest

from eventproof.adapters.claims import Attempts, Survives
from tests.conformance.histories import SECOND, Story, claims, policy
from tests.conformance.rules.found import findings, found


def attempts(*counts: int) -> Story:
    """One event nacked again and again in one session, with these attempts."""
    told = Story()
    session, call = told.join(), told.publish()
    for count in counts:
        told.nack(told.deliver(session, call, attempt=count))
    return told


@pytest.mark.parametrize(
    ("counts", "codes"),
    [
        ((1, 2, 3), set()),
        ((1, 1), {"E1l"}),
        ((1, 2, 1), {"E1l"}),
        ((2,), {"E1h"}),
        ((1, 3), {"E1h"}),
        ((0, 0), set()),
    ],
)
def test_e1_within_a_session(counts: tuple[int, ...], codes: set[str]) -> None:
    assert found(attempts(*counts)) == codes


@pytest.mark.parametrize(
    ("counts", "codes"),
    [((1, 3, 3), set()), ((1, 3, 3, 3), {"E1l"}), ((1, 3, 2), {"E1l"}), ((1, 1, 3), {"E1l"})],
)
def test_e1_a_count_that_was_too_high_may_stand_still_until_it_is_true(
    counts: tuple[int, ...], codes: set[str]
) -> None:
    """Of a hand-out that never happened the broker may hear late, and take it back."""
    told = Story(claims(attempts=Attempts(never_low=True)))
    session, call = told.join(), told.publish()
    for count in counts:
        told.nack(told.deliver(session, call, attempt=count))
    assert found(told) == codes


@pytest.mark.parametrize(("stalled", "codes"), [(9.95, set()), (1.0, {"C3", "E1l"})])
def test_e1_of_two_hand_outs_at_a_time_either_may_be_the_earlier(stalled: float, codes: set[str]) -> None:
    """The first member read its message late: the broker had given the event to the second one meanwhile."""
    told = Story(claims(survives=Survives(attempts=("consumer-loss",))))
    call, first, second = told.publish(), told.join(), told.join()
    told.next(first)
    told.next(second)
    told.wait(stalled)
    told.record("stall", numbers={"ns": int(stalled * SECOND)})
    told.hand(second, call, attempt=2)
    told.hand(first, call, attempt=1)
    assert found(told) - {"E1h"} == codes


def test_e1_across_sessions_only_where_attempts_survive() -> None:
    for survives, codes in (((), set()), (("consumer-loss",), {"E1l"})):
        told = Story(claims(survives=Survives(attempts=survives)))
        session, call = told.join(), told.publish()
        told.deliver(session, call, attempt=1)
        told.record("session.lost", session=session)
        told.deliver(told.join(), call, attempt=1)
        assert found(told) == codes


def test_e1_a_kill_may_reset_it_unless_attempts_survive() -> None:
    for survives, codes in (((), set()), (("broker-kill",), {"E1l"})):
        told = Story(claims(survives=Survives(attempts=survives)))
        session, call = told.join(), told.publish()
        told.nack(told.deliver(session, call, attempt=1))
        told.record("broker.killed")
        told.deliver(session, call, attempt=1)
        assert found(told) == codes


@pytest.mark.parametrize("loss", ["session.closed", "consumer.paused", "broker.killed", "link.cut"])
def test_e1_each_loss_since_the_publish_may_cost_one_hand_out(loss: str) -> None:
    for before, codes in ((True, {"E1h"}), (False, set())):
        told = Story()
        told.join()
        lost = (
            {"session": 1}
            if loss == "session.closed"
            else {"process": "c1"}
            if loss != "broker.killed"
            else {}
        )
        if before:
            told.record(loss, **lost)
        if before and loss == "consumer.paused":
            told.record("consumer.resumed", **lost)
        call = told.publish()
        if not before:
            told.record(loss, **lost)
        told.deliver(told.join(), call, attempt=2)
        assert found(told) == codes


def handed_out(times: int, *, lost: int = 0, never_low: bool = True, survives: tuple[str, ...] = ()) -> Story:
    told = Story(
        claims(attempts=Attempts(never_low=never_low), survives=Survives(attempts=survives)),
        g=policy(max_attempts=3),
    )
    call, session = told.publish(), told.join()
    for _ in range(lost):
        told.close(told.join())
    for _ in range(times):
        told.nack(told.deliver(session, call))
    return told


def test_e2_no_more_than_max_attempts() -> None:
    assert found(handed_out(3)) == set()
    assert found(handed_out(4)) == {"E2"}


def test_e2_losses_allow_more_where_the_count_may_fall() -> None:
    assert found(handed_out(4, lost=1, never_low=False)) == set()
    assert found(handed_out(5, lost=1, never_low=False)) == {"E2"}
    assert found(handed_out(4, lost=1)) == set()
    assert found(handed_out(4, lost=1, survives=("consumer-loss",))) == {"E2"}


def test_e2_a_loss_before_the_publish_allows_nothing() -> None:
    told = Story(g=policy(max_attempts=1))
    told.close(told.join())
    session, call = told.join(), told.publish()
    for _ in range(2):
        told.nack(told.deliver(session, call))
    assert found(told) == {"E2"}


@pytest.mark.parametrize(
    ("what", "codes"),
    [
        ("hhKRhh", set()),  # JetStream wrote neither attempt down before the kill
        ("hhKRhhh", {"E2"}),
        ("hhhKR", {"E2"}),
        ("KRhhh", {"E2"}),
        ("KhhRhh", set()),  # the broker may be back before the record tells
        ("hKRhhKRhh", set()),
    ],
)
def test_e2_a_fault_that_attempts_need_not_survive_begins_a_new_count(what: str, codes: set[str]) -> None:
    for survives, expected in ((("consumer-loss",), codes), (("consumer-loss", "broker-kill"), {"E2"})):
        told = Story(claims(survives=Survives(attempts=survives)), g=policy(max_attempts=2))
        session, call = told.join(), told.publish()
        for step in what:
            if step == "h":
                told.nack(told.deliver(session, call))
            else:
                told.record({"K": "broker.killed", "R": "broker.ready"}[step])
        assert found(told) == expected


@pytest.mark.parametrize(("before", "after", "codes"), [(2, 2, set()), (3, 0, {"E2"}), (0, 3, {"E2"})])
def test_e2_a_group_that_was_deleted_begins_anew(before: int, after: int, codes: set[str]) -> None:
    told = Story(g=policy(max_attempts=2))
    call = told.publish()
    for times, then in ((before, "group.deleted"), (after, "end")):
        session = told.join()
        for _ in range(times):
            told.nack(told.deliver(session, call))
        told.record(then, topic="t", group="g")
    assert found(told) == codes


def test_e3_a_stale_nack_without_a_delay_excuses() -> None:
    told = Story()
    session, call = told.join(), told.publish()
    first = told.deliver(session, call)
    told.lose(first)
    told.nack(told.deliver(session, call), delay=5.0)
    told.nack(first, delay=0.0)
    told.handle(session, call)
    assert found(told) == set()


def again(after: float, *, delay: float = 5.0, outcome: str = "ok", **group: object) -> Story:
    told = Story(g=policy(**group))
    session, call = told.join(), told.publish()
    delivery = told.deliver(session, call)
    told.nack(delivery, outcome, delay=delay)
    told.wait(after)
    told.handle(session, call)
    return told


@pytest.mark.parametrize(("after", "codes", "void"), [(4.8, {"E3"}, 0), (4.95, set(), 1), (5.0, set(), 0)])
def test_e3_the_delay_asked_for(after: float, codes: set[str], void: int) -> None:
    told = again(after)
    assert found(told) == codes
    assert findings(told)["E3"].void == void


@pytest.mark.parametrize(("after", "codes"), [(1.0, {"E3"}), (2.0, set())])
def test_e3_the_delay_of_the_policy(after: float, codes: set[str]) -> None:
    assert found(again(after, delay=-1.0, backoff=(2.0, 9.0))) == codes


def test_e3_the_policy_counts_attempts() -> None:
    told = Story(g=policy(backoff=(1.0, 5.0)))
    session, call = told.join(), told.publish()
    for wait in (1.0, 3.0):
        told.nack(told.deliver(session, call), delay=-1.0)
        told.wait(wait)
    told.handle(session, call)
    assert found(told) == {"E3"}


@pytest.mark.parametrize(("stalled", "codes", "void"), [(9.95, set(), 1), (1.0, {"E3"}, 0)])
def test_e3_not_where_it_may_have_been_on_its_way_before_the_nack(
    stalled: float, codes: set[str], void: int
) -> None:
    """The member read its message late: the broker had given the event to another one meanwhile."""
    told = Story()
    call, first, second = told.publish(), told.join(), told.join()
    told.next(first)
    told.next(second)
    told.wait(stalled)
    told.record("stall", numbers={"ns": int(stalled * SECOND)})
    told.nack(told.hand(first, call, attempt=1), delay=5.0)
    told.hand(second, call, attempt=2)
    assert found(told) == codes
    assert (findings(told)["E3"].void, findings(told)["E3"].exercised) == (void, 1)


@pytest.mark.parametrize("over", ["lease.lost", "lease", "session.closed"])
def test_e3_what_was_given_up_before_its_nack_is_on_its_way(over: str) -> None:
    told = Story(claims(backoff="durable", fencing="none"))
    session, call = told.join(), told.publish()
    delivery = told.deliver(session, call)
    if over == "lease":
        told.wait(10.5)
    else:
        told.record(over, **({"delivery": delivery} if over == "lease.lost" else {"session": session}))
    told.nack(delivery, delay=5.0)
    told.deliver(told.join(), call)
    assert found(told) == set()
    assert findings(told)["E3"].exercised == 0


def test_e3_an_unknown_nack_binds_nothing() -> None:
    assert found(again(1.0, outcome="indeterminate")) == set()


@pytest.mark.parametrize(
    ("fault", "changes", "codes"),
    [
        ("session", {}, set()),
        ("session", {"backoff": "durable"}, {"E3"}),
        ("session", {"survives": Survives(delays=("consumer-loss",))}, {"E3"}),
        ("broker.killed", {}, set()),
        ("broker.killed", {"backoff": "durable"}, set()),
        ("broker.killed", {"survives": Survives(delays=("broker-kill",))}, {"E3"}),
    ],
)
def test_e3_a_loss_in_between_excuses_unless_delays_survive_it(
    fault: str, changes: dict[str, object], codes: set[str]
) -> None:
    told = Story(claims(**changes))
    session, call = told.join(), told.publish()
    told.nack(told.deliver(session, call), delay=5.0)
    if fault == "session":
        told.close(session)
        session = told.join()
    else:
        told.record(fault)
    told.handle(session, call)
    assert found(told) == codes
