from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest

from eventproof.adapters.errors import Rejected, SessionLost
from eventproof.adapters.nats import remove
from eventproof.adapters.policy import Policy

FAST = Policy(backoff=(0.02,))


async def consume(nats, session, seen, fails, until):
    """A member that fails each event of `fails` once, until the group saw the number `until` of acks."""
    while len(seen) < until:
        try:
            delivery = await nats.next(session, 0.2)
        except asyncio.TimeoutError:
            continue
        event = delivery.event
        if event.data in fails:
            fails.discard(event.data)
            await delivery.nack()
        else:
            seen.append((event.key, event.data))
            await delivery.ack()


def test_ord_005_keys_stay_in_order_over_partitions_members_and_retries(nats):
    async def story():
        topic = await nats.topic(partitions=4)
        number, keys = 120, 10
        async with nats.broker() as one, nats.broker() as two:
            for n in range(number):
                await one.publish(topic, nats.event(n, f"key {n % keys}"))
            seen, fails = [], set(range(0, number, 7))
            async with (
                one.subscribe(topic, group="g", policy=FAST) as first,
                two.subscribe(topic, group="g", policy=FAST) as second,
            ):
                members = [
                    consume(nats, member, seen, fails, number) for member in (first, first, second, second)
                ]
                await asyncio.gather(*members)
        by_key = defaultdict(list)
        for key, data in seen:
            by_key[key].append(data)
        assert {key: sorted(data) for key, data in by_key.items()} == by_key
        assert sorted(data for _, data in seen) == list(range(number))
        assert not fails

    asyncio.run(story())


def test_events_without_a_key_spread_over_the_partitions(nats):
    async def story():
        topic = await nats.topic(partitions=4)
        async with nats.broker() as broker:
            for n in range(60):
                await broker.publish(topic, nats.event(n))
            async with broker.subscribe(topic, group="g") as session:
                partitions = set()
                for _ in range(60):
                    delivery = await nats.next(session)
                    partitions.add(delivery.partition)
                    await delivery.ack()
        assert partitions == {0, 1, 2, 3}

    asyncio.run(story())


def test_grp_001_each_group_gets_every_event_and_dur_002_a_late_one_from_the_start(nats):
    async def story():
        topic = await nats.topic(partitions=2)
        async with nats.broker() as broker:
            async with broker.subscribe(topic, group="early") as session:
                for n in range(5):
                    await broker.publish(topic, nats.event(n, "k"))
                assert [event.data for event in await nats.take(session, 5)] == [0, 1, 2, 3, 4]
            async with broker.subscribe(topic, group="late") as session:
                assert [event.data for event in await nats.take(session, 5)] == [0, 1, 2, 3, 4]
            async with broker.subscribe(topic, group="early") as session:
                await nats.nothing(session)

    asyncio.run(story())


def test_dur_001_latest_begins_at_the_first_subscribe_and_dur_003_stays_there(nats):
    async def story():
        topic = await nats.topic(partitions=3)
        policy = Policy(start="latest")
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(0))
            async with broker.subscribe(topic, group="g", policy=policy):
                pass
            for n in range(1, 7):
                await broker.publish(topic, nats.event(n))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                assert sorted(event.data for event in await nats.take(session, 6)) == [1, 2, 3, 4, 5, 6]
                await nats.nothing(session)

    asyncio.run(story())


def test_dlv_002_a_filter_takes_exact_types_and_all_below_a_dot(nats):
    types = ["shop.order.created", "shop.order", "shop.ordering.x", "shop.user.x", "shop.user.x.y", "other"]

    async def story():
        topic = await nats.topic(partitions=2)
        policy = Policy(types=("shop.order", "shop.user.*", "shop.user.x", "other"))
        async with nats.broker() as broker:
            for n, type_ in enumerate(types):
                await broker.publish(topic, nats.event(n, "same", type=type_))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                assert [event.type for event in await nats.take(session, 4)] == [
                    types[n] for n in (1, 3, 4, 5)
                ]
                await nats.nothing(session)

    asyncio.run(story())


def test_grp_002_and_nat_007_another_policy_of_a_group_is_refused(nats):
    async def story():
        topic = await nats.topic(partitions=2)
        async with nats.broker() as broker:
            async with broker.subscribe(topic, group="g", policy=Policy(ack_timeout=2)):
                pass
            async with broker.subscribe(topic, group="g", policy=Policy(ack_timeout=2.0)):
                pass
            for other in (
                Policy(),
                Policy(ack_timeout=2, max_in_flight=3),
                Policy(ack_timeout=2, start="latest"),
            ):
                with pytest.raises(Rejected, match="conflict"):
                    async with broker.subscribe(topic, group="g", policy=other):
                        pass

    asyncio.run(story())


def test_members_may_join_at_the_same_time(nats):
    async def story():
        topic = await nats.topic(partitions=4)

        async def join():
            async with nats.broker() as broker, broker.subscribe(topic, group="g"):
                pass

        await asyncio.gather(*(join() for _ in range(8)))

    asyncio.run(story())


def test_a_topic_or_dead_letter_topic_that_is_missing_is_refused(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            for name, policy in (("nowhere", Policy()), (topic, Policy(dead_letter="nowhere"))):
                with pytest.raises(Rejected, match="no-topic"):
                    async with broker.subscribe(name, group="g", policy=policy):
                        pass
            with pytest.raises(Rejected, match="invalid"):
                async with broker.subscribe(topic, group=""):
                    pass

    asyncio.run(story())


@pytest.mark.parametrize(
    ("one", "other"), [("a.b", "a=2Eb"), ("*", ">"), ("a b", "a_b"), ("é" * 15, "É" * 15), ("$JS", "~")]
)
def test_hostile_names_of_topics_and_groups_stay_apart(nats, one, other):
    async def story():
        await nats.topic(one)
        await nats.topic(other)
        async with nats.broker() as broker:
            await broker.publish(one, nats.event(1))
            await broker.publish(other, nats.event(2))
            for group in (one, other):
                async with broker.subscribe(one, group=group) as session:
                    assert [event.data for event in await nats.take(session, 1)] == [1]
                    await nats.nothing(session, 0.05)
        await remove(nats.url, one)
        await remove(nats.url, other)

    asyncio.run(story())


def test_names_of_the_greatest_length_work(nats):
    async def story():
        topic = await nats.topic("t" * 189)
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1))
            async with broker.subscribe(topic, group="g" * 195) as session:
                assert len(await nats.take(session, 1)) == 1

    asyncio.run(story())


def test_flw_001_no_more_are_handed_out_than_may_be_in_flight(nats):
    async def story():
        topic = await nats.topic(partitions=8)
        policy = Policy(max_in_flight=2)
        async with (
            nats.broker() as broker,
            nats.broker() as other,
            broker.subscribe(topic, group="g", policy=policy) as session,
        ):
            await nats.nothing(session, 0.2)  # by now a pull waits in every lane
            for n in range(40):
                await other.publish(topic, nats.event(n))
            held = [await nats.next(session), await nats.next(session)]
            await nats.nothing(session)
            await held[0].ack()
            held[0] = await nats.next(session)
            await nats.nothing(session, 0.1)

    asyncio.run(story())


def test_a_member_that_is_busy_does_not_keep_events_from_one_that_waits(nats):
    """RED-006: what a session fetched ahead goes to whoever waits, and that is no attempt."""

    async def story():
        topic = await nats.topic(partitions=4)
        policy = Policy(max_in_flight=1)
        async with (
            nats.broker() as one,
            nats.broker() as two,
            one.subscribe(topic, group="g", policy=policy) as busy,
        ):
            waiting = asyncio.ensure_future(nats.next(busy))
            await nats.nothing(busy, 0.2)  # by now a pull of this member waits in every lane
            for n in range(40):
                await two.publish(topic, nats.event(n))
            held = await waiting
            async with two.subscribe(topic, group="g", policy=policy) as free:
                start, served = asyncio.get_running_loop().time(), set()
                while len(served) < 3:
                    delivery = await nats.next(free)
                    assert delivery.attempt == 1
                    assert delivery.partition != held.partition
                    served.add(delivery.partition)
                    await delivery.ack()
                assert asyncio.get_running_loop().time() - start < 1.0

    asyncio.run(story())


def test_adp_006_cancelled_waits_lose_nothing(nats):
    async def story():
        topic = await nats.topic(partitions=2)
        async with nats.broker() as broker, broker.subscribe(topic, group="g") as session:
            seen = []

            async def publish():
                for n in range(100):
                    await broker.publish(topic, nats.event(n, str(n % 5)))

            task = asyncio.ensure_future(publish())
            turn = 0
            while len(seen) < 100:
                turn += 1
                try:
                    delivery = await asyncio.wait_for(session.__anext__(), 0.0003 * (turn % 5))
                except asyncio.TimeoutError:
                    continue
                assert delivery.attempt == 1
                seen.append(delivery.event.data)
                await delivery.ack()
            await task
            assert sorted(seen) == list(range(100))

    asyncio.run(story())


def test_adp_006_a_wait_that_is_cancelled_while_a_lease_is_renewed_loses_nothing(nats):
    async def story():
        topic = await nats.topic()
        policy = Policy(ack_timeout=0.1)
        async with nats.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await nats.nothing(session, 0.05)
            await broker.publish(topic, nats.event(1))
            while not session._intake.ready:  # noqa: ASYNC110 - a poll
                await asyncio.sleep(0)
            # Of a grace of 0.51 s, more than half is gone.
            session._intake.ready[0].message.leased = asyncio.get_running_loop().time() - 0.3
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.__anext__(), 0.00001)
            delivery = await nats.next(session)
            assert delivery.attempt == 1
            await delivery.ack()

    asyncio.run(story())


def test_adp_002_a_session_ends_when_its_group_is_deleted(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker, broker.subscribe(topic, group="g") as session:
            waiting = asyncio.ensure_future(nats.next(session))
            await nats.nothing(session, 0.05)
            await remove(nats.url, topic)
            with pytest.raises(SessionLost):
                await waiting

    asyncio.run(story())


def test_adp_002_a_session_ends_with_its_connection_and_when_it_is_left(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            async with broker.subscribe(topic, group="g") as left:
                pass
            with pytest.raises(SessionLost, match="left"):
                await left.__anext__()
            subscription = broker.subscribe(topic, group="g")
            open_still = await subscription.__aenter__()
            waiting = asyncio.ensure_future(open_still.__anext__())
        with pytest.raises(SessionLost, match="closed"):
            await waiting
        await subscription.__aexit__(None, None, None)

    asyncio.run(story())
