from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import AlreadySettled, LeaseExpired, Rejected
from eventproof.adapters.policy import Policy


def now():
    return asyncio.get_running_loop().time()


def test_red_002_and_nat_020_a_nack_waits_for_its_delay_or_the_policys(nats):
    async def story():
        topic = await nats.topic()
        policy = Policy(backoff=(0.1, 0.3))
        async with nats.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, nats.event(1, "k"))
            await broker.publish(topic, nats.event(2, "k"))
            delivery = await nats.next(session)
            for delay, least in [(None, 0.1), (None, 0.3), (None, 0.3), (0.5, 0.5), (0, 0)]:
                start = now()
                await delivery.nack(delay=delay)
                again = await nats.next(session)
                assert least <= now() - start < least + 0.25
                assert (again.event.data, again.attempt) == (1, delivery.attempt + 1)
                delivery = again

    asyncio.run(story())


def test_red_002_a_delay_outlives_the_member_that_asked_for_it(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1))
            async with broker.subscribe(topic, group="g") as session:
                await (await nats.next(session)).nack(delay=0.5)
                start = now()
            async with broker.subscribe(topic, group="g") as session:
                assert (await nats.next(session)).attempt == 2
                assert now() - start > 0.45

    asyncio.run(story())


def test_a_lease_ends_the_event_comes_back_and_dlv_009_nat_018_the_old_delivery_settles_no_more(nats):
    async def story():
        topic = await nats.topic()
        policy = Policy(ack_timeout=0.3)
        async with nats.broker() as one, nats.broker() as two:
            await one.publish(topic, nats.event(1, "k"))
            async with (
                one.subscribe(topic, group="g", policy=policy) as first,
                two.subscribe(topic, group="g", policy=policy) as second,
            ):
                old = await nats.next(first)
                start = now()
                await asyncio.wait_for(old.lost, 1)
                assert 0.25 < now() - start < 0.5
                new = await nats.next(second)
                assert (new.event, new.attempt, new.position) == (old.event, 2, old.position)
                assert now() - start > 0.7, "the broker's lease outlasts ours by half a second and more"
                for settle in (old.ack, old.nack, old.extend):
                    with pytest.raises(LeaseExpired):
                        await settle()
                await new.ack()
                await new.ack()
                with pytest.raises(AlreadySettled):
                    await new.nack()
                await nats.nothing(first, 0.9)

    asyncio.run(story())


def test_extending_keeps_the_event_beyond_the_brokers_own_lease(nats):
    async def story():
        topic = await nats.topic()
        policy = Policy(ack_timeout=0.25)
        async with nats.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, nats.event(1))
            delivery = await nats.next(session)
            for _ in range(6):
                await nats.nothing(session, 0.17)
                await delivery.extend()
            await delivery.ack()
            await nats.nothing(session, 0.85)

    asyncio.run(story())


def test_nat_019_an_event_that_waited_in_the_session_is_held_for_its_full_lease(nats):
    """The lease begins at the hand-out, so the broker's is renewed for what was fetched ahead long before."""

    async def story():
        topic = await nats.topic(partitions=2)
        policy = Policy(ack_timeout=0.6, max_in_flight=1)
        async with (
            nats.broker() as one,
            nats.broker() as two,
            one.subscribe(topic, group="g", policy=policy) as session,
        ):
            await nats.nothing(session, 0.1)  # pulls wait in both lanes
            for n in (0, 1):  # without a key, and of different partitions
                await one.publish(topic, nats.event(n))
            first = await nats.next(session)
            await asyncio.sleep(0.3)
            await first.extend()
            await asyncio.sleep(0.35)
            await first.ack()
            second = await nats.next(session)
            assert second.partition != first.partition
            async with two.subscribe(topic, group="g", policy=policy) as other:
                await nats.nothing(other, 0.57)
                await second.ack()
                assert second.attempt == 1
                await nats.nothing(other, 0.7)

    asyncio.run(story())


def test_dlv_004_what_was_acked_does_not_come_back(nats):
    async def story():
        topic = await nats.topic()
        policy = Policy(ack_timeout=0.1)
        async with nats.broker() as broker:
            for n in range(20):
                await broker.publish(topic, nats.event(n, "k"))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                assert [event.data for event in await nats.take(session, 20)] == list(range(20))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                await nats.nothing(session, 0.8)

    asyncio.run(story())


def test_adp_007_the_everyday_form(nats):
    async def story():
        topic = await nats.topic()
        policy = Policy(backoff=(0.0,))
        async with nats.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, nats.event(1))
            async with await nats.next(session):
                raise RuntimeError("fails")
            again = await nats.next(session)
            assert again.attempt == 2
            async with again as event:
                assert event.data == 1
            await nats.nothing(session)

    asyncio.run(story())


def test_a_reject_without_a_dead_letter_topic_is_refused(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker, broker.subscribe(topic, group="g") as session:
            await broker.publish(topic, nats.event(1))
            with pytest.raises(Rejected, match="no-dead-letter"):
                await (await nats.next(session)).reject("bad")

    asyncio.run(story())
