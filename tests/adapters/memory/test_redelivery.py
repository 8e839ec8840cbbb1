"""What brings an event back: leases that end, nacks, members that leave."""

from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import AlreadySettled, LeaseExpired
from eventproof.adapters.policy import Policy
from tests.adapters.memory.world import (
    NO_DELAY,
    acked,
    ids,
    memory,
    nothing,
    publish,
    take,
    take_all,
)
from tests.adapters.virtual import at, virtual

LEASE = Policy(ack_timeout=30, backoff=(1, 10))


@virtual
async def test_red_001_a_lease_that_ends_brings_the_event_back() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as subscription:
        await publish(broker, 1)
        first = await take(subscription)
        again = await take(subscription)
        assert (at(), again.event, again.attempt) == (30, first.event, 2)
        assert (first.attempt, again.position) == (1, first.position)
        assert first.lost
        assert not again.lost


@virtual
async def test_an_event_whose_lease_ended_goes_to_whoever_is_there() -> None:
    async with memory() as broker:
        one = broker.subscribe("orders", group="a", policy=LEASE)
        two = broker.subscribe("orders", group="a", policy=LEASE)
        async with one as first, two as second:
            await publish(broker, 1)
            await take(first)
            assert (await take(second)).attempt == 2


@virtual
async def test_dlv_009_a_stale_verb_is_refused_and_settles_nothing() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as subscription:
        await publish(broker, 1)
        stale = await take(subscription)
        present = await take(subscription)
        for verb in (stale.ack(), stale.nack(), stale.reject("no"), stale.extend()):
            with pytest.raises(LeaseExpired):
                await verb
        assert not present.lost
        await present.ack()
        await nothing(subscription, during=100)


@virtual
async def test_extending_keeps_the_lease() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as subscription:
        await publish(broker, 1)
        slow = await take(subscription)
        for _ in range(5):
            await nothing(subscription, during=29)
            await slow.extend()
        assert at() == pytest.approx(5 * 29)
        await nothing(subscription, during=29)
        await slow.ack()
        await nothing(subscription, during=100)


@virtual
async def test_an_extended_lease_ends_too() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as subscription:
        await publish(broker, 1)
        slow = await take(subscription)
        await asyncio.sleep(20)
        await slow.extend()
        await slow.lost
        assert at() == pytest.approx(50)
        assert (await take(subscription)).attempt == 2
        assert at() == pytest.approx(50)


@virtual
async def test_dlv_005_an_acked_event_never_comes_back() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as subscription:
        await publish(broker, 1)
        delivery = await take(subscription)
        await delivery.ack()
        await delivery.ack()
        with pytest.raises(AlreadySettled):
            await delivery.nack()
        await nothing(subscription, during=1000)
        assert not delivery.lost


@virtual
async def test_red_002_a_nacked_event_waits_for_its_delay() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as subscription:
        await publish(broker, 1)
        await (await take(subscription)).nack(delay=7)
        assert (await take(subscription)).attempt == 2
        assert at() == pytest.approx(7)


@virtual
async def test_a_delay_of_nothing_is_not_the_back_off() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as subscription:
        await publish(broker, 1)
        await (await take(subscription)).nack(delay=0)
        await take(subscription)
        assert at() == 0


@virtual
async def test_red_002_the_back_off_goes_by_the_attempt_and_its_last_step_repeats() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as subscription:
        await publish(broker, 1)
        seen = []
        for _ in range(4):
            delivery = await take(subscription)
            seen.append((delivery.attempt, at()))
            await delivery.nack()
        assert seen == [(1, 0), (2, 1), (3, 11), (4, 21)]


@virtual
async def test_red_003_lease_ends_and_nacks_count_as_attempts_alike() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as subscription:
        await publish(broker, 1)
        await take(subscription)
        await (await take(subscription)).nack(delay=0)
        assert (await take(subscription)).attempt == 3


@virtual
async def test_adp_008_leaving_returns_what_is_unsettled_in_its_order() -> None:
    async with memory() as broker:
        async with broker.subscribe("orders", group="a", policy=LEASE) as subscription:
            await publish(broker, *range(6))
            held = await take_all(subscription)
            await held[2].ack()
        assert at() < LEASE.ack_timeout
        async with broker.subscribe("orders", group="a", policy=LEASE) as other:
            again = await take_all(other)
            assert ids(again) == ["0", "1", "3", "4", "5"]
            assert {delivery.attempt for delivery in again} == {2}
            with pytest.raises(LeaseExpired):
                await held[0].ack()
            assert all(delivery.lost for delivery in held if delivery is not held[2])
            assert not held[2].lost


@virtual
async def test_adp_008_who_waits_gets_at_once_what_another_returns() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LEASE) as staying:
        async with broker.subscribe("orders", group="a", policy=LEASE) as leaving:
            await publish(broker, 1)
            await take(leaving)
            waiting = asyncio.ensure_future(take(staying))
            await asyncio.sleep(1)
        assert ((await waiting).attempt, at()) == (2, 1)


@virtual
async def test_leaving_keeps_the_order_of_a_key() -> None:
    async with memory() as broker:
        async with broker.subscribe("orders", group="a", policy=NO_DELAY) as subscription:
            await publish(broker, 1, 2, 3, key="k")
            await take(subscription)
        async with broker.subscribe("orders", group="a", policy=NO_DELAY) as other:
            assert await acked(other) == ["1", "2", "3"]


@virtual
async def test_a_delay_outlives_the_session_that_asked_for_it() -> None:
    async with memory() as broker:
        async with broker.subscribe("orders", group="a", policy=LEASE) as subscription:
            await publish(broker, 1)
            await (await take(subscription)).nack(delay=60)
        async with broker.subscribe("orders", group="a", policy=LEASE) as other:
            assert (await take(other)).attempt == 2
            assert at() == pytest.approx(60)


@virtual
async def test_dlv_007_at_most_once_settles_with_the_hand_out() -> None:
    async with memory(delivery="at-most-once") as broker:
        async with broker.subscribe("orders", group="a", policy=Policy(max_in_flight=1)) as subscription:
            await publish(broker, 1, 2, 3, key="k")
            held = await take_all(subscription)
            assert ids(held) == ["1", "2", "3"]  # nothing waits, nothing is in flight
            await held[0].ack()
            await held[1].nack(delay=0)
            await held[2].extend()
            await nothing(subscription, during=1000)
        async with broker.subscribe("orders", group="a", policy=Policy(max_in_flight=1)) as other:
            await nothing(other)
        assert broker.claims.loss == "may"
        assert broker.claims.duplicates == "never"
