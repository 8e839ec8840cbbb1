"""Members that are killed, or stand still: what they had goes on elsewhere, in order, and they are told."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from itertools import count

import pytest

from eventproof.adapters.errors import LeaseExpired
from eventproof.adapters.policy import Policy
from eventproof.conformance.driver.process import open_process
from tests.adapters.kafka.test_leave import shared

SERVED = (
    sys.executable,
    "-m",
    "eventproof.conformance.driver",
    "--adapter",
    "eventproof.adapters.kafka:connect",
)
SESSION = 1.0
QUICK = {"session_timeout": SESSION}


def now():
    return asyncio.get_running_loop().time()


async def held_by(session, number):
    return [await asyncio.wait_for(session.__anext__(), 5) for _ in range(number)]


def in_order(events, keys):
    by_key = defaultdict(list)
    for event in events:
        by_key[event.key].append(event.data)
    return len(by_key) == keys and all(data == sorted(data) for data in by_key.values())


def test_kaf_032_grp_003_and_grp_004_what_a_killed_member_had_goes_to_another_in_order(kafka):
    async def story():
        topic = await kafka.topic(partitions=4)
        policy = Policy(ack_timeout=2)
        async with kafka.broker(**QUICK) as broker, open_process(SERVED) as process:
            for n in range(60):
                await broker.publish(topic, kafka.event(n, f"k{n % 6}"))
            async with process.connect(kafka.url, **QUICK) as served:
                killed = served.subscribe(topic, group="g", policy=policy)
                member = await killed.__aenter__()
                held = await held_by(member, 4)
                done = await held_by(member, 1)
                await done[0].ack()
                process.kill()
                start = now()
                async with broker.subscribe(topic, group="g", policy=policy) as session:
                    await shared(session, 4)
                    assert SESSION * 0.7 < now() - start < SESSION + 1.0
                    seen = []
                    while len(seen) < 59:
                        delivery = await kafka.next(session)
                        was_held = [one for one in held if one.event == delivery.event]
                        if was_held:
                            assert now() - start > 1.9, "its lease was not over"
                            assert delivery.attempt == 2
                        seen.append(delivery.event)
                        await delivery.ack()
                    await kafka.nothing(session)
            assert done[0].event not in seen
            assert in_order(seen, 6)

    asyncio.run(story())


def test_kaf_024_grp_006_and_grp_007_a_frozen_member_is_fenced_and_holds_nobody_up(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        policy = Policy(ack_timeout=1.5)
        async with kafka.broker(**QUICK) as broker, open_process(SERVED) as process:
            for n in range(8):
                await broker.publish(topic, kafka.event(n))
            async with process.connect(kafka.url, **QUICK) as served:
                frozen = served.subscribe(topic, group="g", policy=policy)
                member = await frozen.__aenter__()
                held = await held_by(member, 3)
                start = now()
                process.freeze()
                async with broker.subscribe(topic, group="g", policy=policy) as session:
                    seen = [await kafka.next(session) for _ in range(8)]
                    again = [each for each in seen if each.event in [one.event for one in held]]
                    assert len(again) == 3
                    assert now() - start > 1.4
                    assert all(each.attempt == 2 for each in again)
                    for each in seen:
                        await each.ack()
                    process.thaw()
                    for one in held:
                        with pytest.raises(LeaseExpired):
                            await one.ack()
                    await kafka.nothing(session)
                    await broker.publish(topic, kafka.event(8))
                    await broker.publish(topic, kafka.event(9))
                await held_by(member, 2)
                await frozen.__aexit__(None, None, None)

    asyncio.run(story())


def test_kaf_023_and_dlv_006_a_member_that_stood_still_hands_out_nothing_that_is_anothers(kafka):
    """It waits for an event when it is frozen; one is published, and goes to the other member."""

    async def story():
        topic = await kafka.topic()
        policy = Policy(ack_timeout=0.5)
        async with (
            kafka.broker(**QUICK) as broker,
            open_process(SERVED) as process,
            process.connect(kafka.url, **QUICK) as served,
        ):
            frozen = served.subscribe(topic, group="g", policy=policy)
            member = await frozen.__aenter__()
            waiting = asyncio.ensure_future(member.__anext__())
            await asyncio.sleep(0.3)
            process.freeze()
            for n in range(5):
                await broker.publish(topic, kafka.event(n))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                held = [await kafka.next(session) for _ in range(5)]
                process.thaw()
                for each in held:
                    await each.ack()
                await asyncio.sleep(0.5)
                assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await frozen.__aexit__(None, None, None)

    asyncio.run(story())


def test_kaf_030_and_red_007_attempts_outlive_members_that_are_killed_and_the_last_one_makes_a_dead_letter(
    kafka,
):
    async def story():
        topic, dead = await kafka.topic(), await kafka.topic()
        policy = Policy(ack_timeout=0.2, max_attempts=3, dead_letter=dead)
        async with kafka.broker(**QUICK) as broker:
            await broker.publish(topic, kafka.event(1))
            for attempt in (1, 2, 3):
                async with open_process(SERVED) as process, process.connect(kafka.url, **QUICK) as served:
                    killed = served.subscribe(topic, group="g", policy=policy)
                    (held,) = await held_by(await killed.__aenter__(), 1)
                    assert held.attempt == attempt
                    process.kill()
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                await kafka.nothing(session, 3.0)
            async with broker.subscribe(dead, group="undertaker") as session:
                (event,) = await kafka.take(session, 1)
                assert event.extensions["dlattempts"] == 3

    asyncio.run(story())


def test_a_member_that_lost_what_it_held_has_room_for_the_partitions_that_it_keeps(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        policy = Policy(ack_timeout=20, max_in_flight=1)
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            keys = {}
            for number in count(10):  # each another event: a copy in the same partition is not handed out
                if len(keys) == 2:
                    break
                key = f"k{number}"
                receipt = await broker.publish(topic, kafka.event(number, key))
                await (await kafka.next(session)).ack()
                keys[receipt.partition] = key
            await broker.publish(topic, kafka.event(1, keys[1]))
            held = await kafka.next(session)
            await broker.publish(topic, kafka.event(2, keys[0]))
            waiting = asyncio.ensure_future(kafka.next(session))
            async with broker.subscribe(topic, group="g", policy=policy) as other:
                assert (await kafka.next(other)).event == held.event
                with pytest.raises(LeaseExpired):
                    await held.ack()
                assert (await waiting).event.data == 2

    asyncio.run(story())
