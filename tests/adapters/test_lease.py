"""The lease of a delivery: how long it holds, and how its end is told."""

from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import Indeterminate, LeaseExpired
from tests.adapters.deliveries import LEASE, VERBS, Scripted, delivered
from tests.adapters.virtual import at, virtual


@pytest.mark.parametrize("verb", [*VERBS, "extend"])
@virtual
async def test_after_the_lease_every_verb_is_refused_without_asking(verb: str) -> None:
    broker = Scripted()
    delivery = delivered(broker)
    await asyncio.sleep(LEASE)
    with pytest.raises(LeaseExpired):
        await {**VERBS, "extend": LeasedDelivery.extend}[verb](delivery)
    assert broker.calls == []


@virtual
async def test_a_lease_holds_until_its_end() -> None:
    broker = Scripted()
    delivery = delivered(broker)
    await asyncio.sleep(LEASE - 0.001)
    await delivery.ack()
    assert broker.verbs == ["ack"]


@virtual
async def test_extending_counts_from_when_it_was_asked_for() -> None:
    broker = Scripted(takes=2)
    delivery = delivered(broker)
    await asyncio.sleep(6)
    await delivery.extend()
    assert at() == 8
    await delivery.lost
    assert at() == 6 + LEASE


@virtual
async def test_an_extension_that_failed_extends_nothing() -> None:
    delivery = delivered(Scripted(Indeterminate("no answer")))
    await asyncio.sleep(6)
    with pytest.raises(Indeterminate):
        await delivery.extend()
    await delivery.lost
    assert at() == LEASE


@pytest.mark.parametrize("verb", VERBS)
@virtual
async def test_what_the_broker_took_back_is_lost(verb: str) -> None:
    broker = Scripted()
    delivery = delivered(broker)
    delivery.lose()
    delivery.lose()
    assert delivery.lost
    await delivery.lost
    with pytest.raises(LeaseExpired):
        await VERBS[verb](delivery)
    assert broker.calls == []


@virtual
async def test_lost_may_be_awaited_by_many_often_and_is_never_used_up() -> None:
    delivery = delivered(Scripted())

    async def wait() -> float:
        await delivery.lost
        return at()

    waits = [asyncio.ensure_future(wait()) for _ in range(3)]
    await asyncio.sleep(1)
    waits.pop().cancel()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(wait(), 1)
    assert not delivery.lost
    assert await asyncio.gather(*waits) == [LEASE, LEASE]
    await delivery.lost
    assert at() == LEASE


@pytest.mark.parametrize("late", [False, True])
@virtual
async def test_a_settled_delivery_is_never_lost(late: bool) -> None:
    delivery = delivered(Scripted())
    lost = None if late else delivery.lost
    await delivery.ack()
    await asyncio.sleep(2 * LEASE)
    delivery.lose()
    assert not lost
    assert not delivery.lost


@virtual
async def test_lost_tells_also_who_asks_only_afterwards() -> None:
    delivery = delivered(Scripted())
    await asyncio.sleep(2 * LEASE)
    await asyncio.wait_for(delivery.lost, 1)
    assert at() == 2 * LEASE
