from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import AlreadySettled, LeaseExpired, Rejected
from eventproof.adapters.kafka.progress import decode
from eventproof.adapters.kafka.questions import committed
from eventproof.adapters.policy import Policy


def now():
    return asyncio.get_running_loop().time()


def test_red_002_a_nack_waits_for_its_delay_or_the_policys(kafka):
    async def story():
        topic = await kafka.topic()
        policy = Policy(backoff=(0.1, 0.3))
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, kafka.event(1, "k"))
            await broker.publish(topic, kafka.event(2, "k"))
            delivery = await kafka.next(session)
            for delay, least in [(None, 0.1), (None, 0.3), (None, 0.3), (0.5, 0.5), (0, 0)]:
                start = now()
                await delivery.nack(delay=delay)
                again = await kafka.next(session)
                assert least <= now() - start < least + 0.25
                assert (again.event.data, again.attempt) == (1, delivery.attempt + 1)
                delivery = again

    asyncio.run(story())


def test_kaf_032_red_008_and_red_007_delays_and_attempts_outlive_the_member(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker:
            await broker.publish(topic, kafka.event(1))
            async with broker.subscribe(topic, group="g") as session:
                await (await kafka.next(session)).nack(delay=0.5)
                start = now()
            async with broker.subscribe(topic, group="g") as session:
                assert (await kafka.next(session)).attempt == 2
                assert now() - start > 0.45

    asyncio.run(story())


def test_kaf_026_acks_out_of_order_and_attempts_are_kept_beyond_the_members(kafka):
    async def story():
        topic = await kafka.topic()
        policy = Policy(backoff=(0.0,))
        async with kafka.broker() as broker:
            for n in range(12):
                await broker.publish(topic, kafka.event(n))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                held = [await kafka.next(session) for _ in range(12)]
                for n in (1, 2, 5, 7, 8, 9):
                    await held[n].ack()
                await held[4].nack()
                assert (await kafka.next(session)).attempt == 2
                place = (await committed(session._link, session._group.id, session._group.topic.stored_as))[0]
                assert place[0] == 0
                told = decode(*place)
                assert told.settled == ((1, 3), (5, 6), (7, 10))
                assert {offset: touched.attempt for offset, touched in told.touched.items()} == {
                    0: 1, 3: 1, 4: 2, 6: 1, 10: 1, 11: 1,
                }  # fmt: skip
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                again = [await kafka.next(session) for _ in range(6)]
                assert sorted((one.event.data, one.attempt) for one in again) == [
                    (0, 2), (3, 2), (4, 3), (6, 2), (10, 2), (11, 2),
                ]  # fmt: skip
                for one in again:
                    await one.ack()
                assert session._committer.accounts[0].ledger.offset == 12
                await kafka.nothing(session)

    asyncio.run(story())


def test_a_lease_ends_the_event_comes_back_and_dlv_009_the_old_delivery_settles_no_more(kafka):
    async def story():
        topic = await kafka.topic()
        policy = Policy(ack_timeout=0.3)
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, kafka.event(1, "k"))
            old = await kafka.next(session)
            start = now()
            new = await kafka.next(session)
            assert 0.28 < now() - start < 0.6
            assert new.attempt == 2
            for verb in (old.ack, old.nack, old.extend):
                with pytest.raises(LeaseExpired):
                    await verb()
            await new.ack()
            await kafka.nothing(session, 0.5)

    asyncio.run(story())


def test_an_extended_lease_holds_the_event(kafka):
    async def story():
        topic = await kafka.topic()
        policy = Policy(ack_timeout=0.4)
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, kafka.event(1))
            delivery = await kafka.next(session)
            for _ in range(4):
                await kafka.nothing(session, 0.25)
                await delivery.extend()
            await delivery.ack()
            await kafka.nothing(session, 0.6)

    asyncio.run(story())


def test_dlv_010_a_delivery_settles_once(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            await broker.publish(topic, kafka.event(1))
            delivery = await kafka.next(session)
            await asyncio.gather(delivery.ack(), delivery.ack())
            await delivery.ack()
            for verb in (delivery.nack, delivery.extend):
                with pytest.raises(AlreadySettled):
                    await verb()

    asyncio.run(story())


def test_a_cancelled_ack_may_be_tried_again(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            for n in range(2):
                await broker.publish(topic, kafka.event(n, "k"))
            for n in range(2):
                delivery = await kafka.next(session)
                acking = asyncio.ensure_future(delivery.ack())
                await asyncio.sleep(0)
                acking.cancel()
                await asyncio.gather(acking, return_exceptions=True)
                await delivery.ack()
                assert delivery.event.data == n
            await kafka.nothing(session)

    asyncio.run(story())


def test_lost_is_told_when_the_lease_ends_and_not_after_a_settlement(kafka):
    async def story():
        topic = await kafka.topic()
        policy = Policy(ack_timeout=0.3)
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, kafka.event(1))
            delivery = await kafka.next(session)
            start = now()
            await asyncio.wait_for(delivery.lost, 1)
            assert 0.28 < now() - start < 0.4
            again = await kafka.next(session)
            lost = again.lost
            await again.ack()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(lost, 0.5)

    asyncio.run(story())


def test_without_a_dead_letter_topic_a_reject_is_refused_and_changes_nothing(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            await broker.publish(topic, kafka.event(1))
            delivery = await kafka.next(session)
            with pytest.raises(Rejected, match="no-dead-letter"):
                await delivery.reject("bad")
            await delivery.ack()
            await kafka.nothing(session)

    asyncio.run(story())
