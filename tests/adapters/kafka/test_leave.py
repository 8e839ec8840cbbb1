from __future__ import annotations

import asyncio

from eventproof.adapters.kafka.membership import Membership
from eventproof.adapters.policy import Policy


def now():
    return asyncio.get_running_loop().time()


QUICK = {"session_timeout": 1.0}


async def shared(session, partitions, within=5.0):
    """Wait until the session owns so many partitions."""
    end = now() + within
    while len(session._committer.accounts) != partitions:
        assert now() < end, f"{len(session._committer.accounts)} partitions"
        await asyncio.sleep(0.01)


def test_kaf_025_and_adp_008_what_is_unsettled_goes_to_another_member_at_once(kafka):
    async def story():
        topic = await kafka.topic(partitions=4)
        async with kafka.broker(**QUICK) as one, kafka.broker(**QUICK) as two:
            for n in range(40):
                await one.publish(topic, kafka.event(n, str(n % 7)))
            async with two.subscribe(topic, group="g") as stays:
                async with one.subscribe(topic, group="g") as leaves:
                    await shared(leaves, 2)
                    held = [await kafka.next(leaves) for _ in range(2)]
                start = now()
                assert all(delivery.lost for delivery in held)
                seen = await kafka.take(stays, 40)
                assert now() - start < 1.0
        for key in range(7):
            assert [e.data for e in seen if e.key == str(key)] == list(range(key, 40, 7))

    asyncio.run(story())


def test_kaf_022_partitions_are_shared_and_what_stays_is_not_disturbed(kafka):
    async def story():
        topic = await kafka.topic(partitions=4)
        policy = Policy(ack_timeout=30)
        async with (
            kafka.broker(**QUICK) as one,
            kafka.broker(**QUICK) as two,
            one.subscribe(topic, group="g", policy=policy) as first,
        ):
            for n in range(40):
                await one.publish(topic, kafka.event(n, f"k{n}"))
            held = [await kafka.next(first) for _ in range(40)]
            async with two.subscribe(topic, group="g", policy=policy) as second:
                await shared(second, 2)
                await shared(first, 2)
                moved = [each for each in held if each.partition in second._committer.accounts]
                assert 0 < len(moved) < 40
                assert all(bool(each.lost) == (each in moved) for each in held)
                again = [await kafka.next(second) for _ in moved]
                assert all(each.attempt == 2 for each in again)
                assert {each.event.data for each in again} == {each.event.data for each in moved}
                for each in [*again, *(each for each in held if each not in moved)]:
                    await each.ack()
                await kafka.nothing(second)
            await shared(first, 4)
            await kafka.nothing(first)

    asyncio.run(story())


def test_what_a_member_lets_go_of_is_not_its_own_while_it_does():
    """What is only now being looked at would otherwise be opened, and stay open, when another one has it."""

    async def story():
        seen = []

        async def letting_go(partitions):
            seen.append((partitions, membership.owned))

        membership = Membership(
            None, "topic", partitions=2, session_timeout=1.0, gained=seen.append, letting_go=letting_go,
            lost=None, failed=None,
        )  # fmt: skip
        await membership._take(frozenset({0, 1}))
        await membership._take(frozenset({1}))
        assert seen == [{0, 1}, ({0}, {1})]

    asyncio.run(story())


def test_a_settled_delivery_is_not_returned(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        policy = Policy(ack_timeout=0.1)
        async with kafka.broker() as broker:
            for n in range(6):
                await broker.publish(topic, kafka.event(n))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                settling = [asyncio.ensure_future((await kafka.next(session)).ack()) for _ in range(6)]
            await asyncio.gather(*settling)
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                await kafka.nothing(session, 0.8)

    asyncio.run(story())


def test_kaf_031_reservations_that_nobody_took_are_no_attempts(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        async with kafka.broker() as broker:
            for n in range(20):
                await broker.publish(topic, kafka.event(n))
            for _ in range(5):
                async with broker.subscribe(topic, group="g") as session:
                    await kafka.take(session, 1)
            async with broker.subscribe(topic, group="g") as session:
                rest = [await kafka.next(session) for _ in range(15)]
                assert {delivery.attempt for delivery in rest} == {1}

    asyncio.run(story())


def test_members_come_and_go_while_events_flow(kafka):
    async def story():
        topic = await kafka.topic(partitions=4)
        policy = Policy(backoff=(0.01,), max_in_flight=8)
        number, keys, seen = 400, 12, []

        async def member(broker, turns, pause):
            for _ in range(turns):
                async with broker.subscribe(topic, group="g", policy=policy) as session:
                    end = now() + pause
                    while now() < end and len(seen) < number:
                        try:
                            delivery = await kafka.next(session, 0.05)
                        except asyncio.TimeoutError:
                            continue
                        seen.append((delivery.event.key, delivery.event.data))
                        await delivery.ack()

        async with kafka.broker(**QUICK) as one, kafka.broker(**QUICK) as two:
            for n in range(number):
                await one.publish(topic, kafka.event(n, f"k{n % keys}"))
            await asyncio.gather(member(two, 6, 0.4), member(one, 1, 20.0))
        assert len(seen) == number
        for key in range(keys):
            of_key = [data for name, data in seen if name == f"k{key}"]
            assert of_key == sorted(of_key)

    asyncio.run(story())


def test_a_leave_that_is_cancelled_leaves_the_connection_usable(kafka):
    async def story():
        topic = await kafka.topic()
        for steps in range(12):
            async with kafka.broker(deadline=1.0) as broker:
                session = broker.subscribe(topic, group=f"g{steps}")
                await session.__aenter__()
                leaving = asyncio.ensure_future(session.__aexit__(None, None, None))
                for _ in range(steps):
                    await asyncio.sleep(0)
                leaving.cancel()
                await asyncio.gather(leaving, return_exceptions=True)
                await broker.publish(topic, kafka.event(steps))

    asyncio.run(story())
