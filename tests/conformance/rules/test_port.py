"""P1 to P4: what the port promises, whatever the broker does."""

from __future__ import annotations

import pytest

from tests.conformance.histories import Story
from tests.conformance.rules.found import findings, found

WITHIN = 30.0  # the default of a header


def test_p1_an_error_that_is_not_of_the_port() -> None:
    told = Story()
    told.record("adapter.error", process="c1", error="Traceback\n  here\nKeyError: 'x'\n")
    assert found(told) == {"P1"}
    assert findings(told)["P1"].violations[0].message.endswith("KeyError: 'x'")


@pytest.mark.parametrize(
    ("first", "then", "outcome", "codes"),
    [
        ("ack", "ack", "ok", set()),
        ("ack", "ack", "rejected", {"P2"}),
        ("ack", "ack", "indeterminate", {"P2"}),
        ("ack", "ack", "open", set()),
        ("ack", "nack", "rejected", set()),
        ("ack", "nack", "ok", {"P2"}),
        ("nack", "ack", "ok", {"P2"}),
        ("nack", "reject", "indeterminate", {"P2"}),
        ("reject", "reject", "ok", set()),
    ],
)
def test_p2_a_delivery_settles_once(first: str, then: str, outcome: str, codes: set[str]) -> None:
    told = Story()
    delivery = told.deliver(told.join(), told.publish())
    told.settle(first, delivery)
    told.settle(then, delivery, outcome)
    assert found(told) == codes


def test_p2_a_settle_that_was_refused_or_unknown_settles_nothing() -> None:
    for outcome in ("rejected", "indeterminate"):
        told = Story()
        delivery = told.deliver(told.join(), told.publish())
        told.ack(delivery, outcome)
        told.ack(delivery)
        assert found(told) == set()


def test_p3_an_iterator_that_ends_by_itself() -> None:
    told = Story()
    session = told.join()
    told.next(session)
    told.record("session.ended", session=session)
    told.close(session)
    assert found(told) == {"P3"}


@pytest.mark.parametrize(("waited", "codes"), [(WITHIN - 1, set()), (WITHIN + 1, {"P4"})])
def test_p4_adp_003_a_publish_that_never_ends(waited: float, codes: set[str]) -> None:
    told = Story()
    told.invoke()
    told.wait(waited)
    told.record("end")
    assert found(told) == codes


@pytest.mark.parametrize(("waited", "codes"), [(WITHIN - 1, set()), (WITHIN + 1, {"P4"})])
def test_p4_adp_003_a_subscribe_that_never_ends(waited: float, codes: set[str]) -> None:
    told = Story()
    told.join(outcome="open")
    told.wait(waited)
    told.record("end")
    assert found(told) == codes


def test_p4_adp_003_an_ack_that_never_ends() -> None:
    told = Story()
    delivery = told.deliver(told.join(), told.publish())
    told.settle("ack", delivery, "open")
    told.wait(WITHIN + 1)
    told.record("end")
    assert found(told) == {"P4"}


def test_p4_adp_003_an_ack_of_a_consumer_that_has_left() -> None:
    told = Story()
    session = told.join()
    delivery = told.deliver(session, told.publish())
    told.settle("ack", delivery, "open")
    told.close(session)
    told.wait(WITHIN + 1)
    told.record("end")
    assert found(told) == set()


def test_p4_adp_003_an_answer_that_no_one_knows_has_ended() -> None:
    told = Story()
    told.outcome(told.invoke(), "indeterminate")
    told.wait(WITHIN + 1)
    told.record("end")
    assert found(told) == set()
