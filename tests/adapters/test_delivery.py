"""A leased delivery settles once, and is honest about what it does not know."""

from __future__ import annotations

import asyncio
import logging

import pytest

from eventproof.adapters.errors import AlreadySettled, Indeterminate, LeaseExpired, Rejected
from tests.adapters.deliveries import EVENT, LEASE, PAIRS, VERBS, Scripted, delivered
from tests.adapters.virtual import virtual

# Settling once


@pytest.mark.parametrize("verb", VERBS)
@virtual
async def test_dlv_010_the_same_verb_again_does_nothing(verb: str) -> None:
    broker = Scripted()
    delivery = delivered(broker)
    await VERBS[verb](delivery)
    await asyncio.sleep(2 * LEASE)
    await VERBS[verb](delivery)  # also after the lease would have ended
    assert broker.verbs == [verb]


@pytest.mark.parametrize(("first", "second"), PAIRS)
@virtual
async def test_dlv_010_another_verb_is_refused(first: str, second: str) -> None:
    broker = Scripted()
    delivery = delivered(broker)
    await VERBS[first](delivery)
    with pytest.raises(AlreadySettled):
        await VERBS[second](delivery)
    with pytest.raises(AlreadySettled):
        await delivery.extend()
    assert broker.verbs == [first]


@virtual
async def test_verbs_reach_the_broker_with_what_was_given() -> None:
    broker = Scripted()
    await delivered(broker).nack(delay=2.5)
    await delivered(broker).nack()
    await delivered(broker).reject("no such customer")
    assert broker.calls == [("nack", 2.5), ("nack", None), ("reject", "no such customer")]


@virtual
async def test_a_delivery_shows_what_it_was_made_of() -> None:
    delivery = delivered(Scripted(), position="7", partition=3)
    assert (delivery.event, delivery.attempt, delivery.position, delivery.partition) == (EVENT, 2, "7", 3)


# What is not known


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("following", VERBS)
@virtual
async def test_after_a_refusal_any_verb_may_follow(verb: str, following: str) -> None:
    broker = Scripted(Rejected("overloaded"))
    delivery = delivered(broker)
    with pytest.raises(Rejected):
        await VERBS[verb](delivery)
    await VERBS[following](delivery)
    assert broker.verbs == [verb, following]


@pytest.mark.parametrize(("verb", "other"), PAIRS)
@virtual
async def test_while_the_outcome_is_not_known_only_the_same_verb_may_follow(verb: str, other: str) -> None:
    broker = Scripted(Indeterminate("no answer"))
    delivery = delivered(broker)
    with pytest.raises(Indeterminate):
        await VERBS[verb](delivery)
    with pytest.raises(AlreadySettled):
        await VERBS[other](delivery)
    await VERBS[verb](delivery)
    assert broker.verbs == [verb, verb]


@virtual
async def test_a_cancelled_settle_is_not_known_either() -> None:
    broker = Scripted(takes=1)
    delivery = delivered(broker)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(delivery.ack(), 0.5)
    with pytest.raises(AlreadySettled):
        await delivery.nack()
    await delivery.ack()
    assert broker.verbs == ["ack", "ack"]


@virtual
async def test_a_refused_retry_does_not_make_the_first_try_undone() -> None:
    broker = Scripted(Indeterminate("no answer"), Rejected("closed"))
    delivery = delivered(broker)
    with pytest.raises(Indeterminate):
        await delivery.ack()
    with pytest.raises(Rejected):
        await delivery.ack()
    with pytest.raises(AlreadySettled):
        await delivery.nack()


@virtual
async def test_dlv_010_two_calls_of_one_verb_side_by_side_are_one() -> None:
    broker = Scripted(None, LeaseExpired("settled by the first"), takes=1)
    delivery = delivered(broker)
    await asyncio.gather(delivery.ack(), delivery.ack())
    with pytest.raises(AlreadySettled):
        await delivery.nack()


# As a context manager


@virtual
async def test_adp_007_success_acks() -> None:
    broker = Scripted()
    async with delivered(broker) as event:
        assert event is EVENT
        assert broker.calls == []
    assert broker.verbs == ["ack"]


@virtual
async def test_adp_007_an_exception_nacks_is_logged_and_ends_there(caplog: pytest.LogCaptureFixture) -> None:
    broker = Scripted()
    async with delivered(broker):
        raise ZeroDivisionError("a fault of the handler")
    assert broker.calls == [("nack", None)]
    (record,) = caplog.records
    assert (record.levelno, record.exc_info[0]) == (logging.WARNING, ZeroDivisionError)
    assert "t 1 failed, attempt 2" in record.getMessage()


@virtual
async def test_adp_007_a_nack_that_fails_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    async with delivered(Scripted(Indeterminate("no answer"))):
        raise ZeroDivisionError
    assert [record.getMessage() for record in caplog.records][1] == "nack of t 1: no answer"


@virtual
async def test_adp_007_a_cancellation_settles_nothing_and_passes() -> None:
    broker = Scripted()

    async def handle() -> None:
        async with delivered(broker):
            await asyncio.sleep(LEASE)

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(handle(), 1)
    assert broker.calls == []


@virtual
async def test_an_ack_that_fails_is_told_to_the_handler() -> None:
    with pytest.raises(LeaseExpired):
        async with delivered(Scripted()):
            await asyncio.sleep(LEASE)


@pytest.mark.parametrize("verb", VERBS)
@virtual
async def test_a_handler_may_settle_in_its_own_way(verb: str) -> None:
    broker = Scripted()
    delivery = delivered(broker)
    async with delivery:
        await VERBS[verb](delivery)
    assert broker.verbs == [verb]
