from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import naming, remove
from eventproof.adapters.kafka.progress import decode
from eventproof.adapters.kafka.questions import committed
from eventproof.adapters.policy import Policy
from eventproof.schemas.deadletter import from_dead_letter
from tests.adapters.kafka.conftest import PREFIX


async def topics(kafka, partitions=1):
    return await kafka.topic(partitions=partitions), await kafka.topic()


async def letters(kafka, broker, dead, number):
    async with broker.subscribe(dead, group="undertaker") as session:
        found = [from_dead_letter(event) for event in await kafka.take(session, number)]
        await kafka.nothing(session)
    return found


def test_dlq_001_the_last_attempt_and_a_reject_make_one_dead_letter_each(kafka):
    async def story():
        topic, dead = await topics(kafka)
        policy = Policy(backoff=(0.0,), max_attempts=2, dead_letter=dead)
        async with kafka.broker() as broker:
            for n in range(3):
                await broker.publish(topic, kafka.event(n, "k"))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                await (await kafka.next(session)).nack()
                await (await kafka.next(session)).nack(delay=60)
                await (await kafka.next(session)).reject("bad")
                assert [event.data for event in await kafka.take(session, 1)] == [2]
                await kafka.nothing(session)
                assert session._committer.accounts[0].ledger.offset == 3
            found = await letters(kafka, broker, dead, 2)
            assert [(event.data, info.reason, info.attempts, info.error) for event, info in found] == [
                (0, "attempts", 2, ""),
                (1, "rejected", 1, "bad"),
            ]

    asyncio.run(story())


def test_the_end_of_the_last_lease_makes_a_dead_letter(kafka):
    async def story():
        topic, dead = await topics(kafka)
        policy = Policy(ack_timeout=0.2, max_attempts=2, dead_letter=dead)
        async with kafka.broker() as broker:
            await broker.publish(topic, kafka.event(1))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                held = [await kafka.next(session), await kafka.next(session)]
                assert [delivery.attempt for delivery in held] == [1, 2]
                await kafka.nothing(session, 0.5)
            ((event, info),) = await letters(kafka, broker, dead, 1)
            assert (event.data, info.reason, info.attempts) == (1, "attempts", 2)

    asyncio.run(story())


def test_kaf_011_what_expired_and_what_is_no_event_are_dead_lettered_unseen(kafka):
    async def story():
        topic, dead = await topics(kafka)
        policy = Policy(dead_letter=dead)
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, kafka.event(1, extensions={"expirytime": "2020-01-01T00:00:00Z"}))
            async with kafka.raw() as producer:
                await producer.send_and_wait(naming.topic(PREFIX, topic), b"\xffno event", partition=0)
                await producer.send_and_wait(naming.topic(PREFIX, topic), None, key=b"gone", partition=0)
            await broker.publish(topic, kafka.event(2))
            assert [event.data for event in await kafka.take(session, 1)] == [2]
            found = await letters(kafka, broker, dead, 3)
            told = [(info.reason, info.attempts, event.data) for event, info in found]
            assert sorted(told) == sorted(
                [("expired", 0, 1), ("undecodable", 0, b"\xffno event"), ("undecodable", 0, b"")]
            )

    asyncio.run(story())


def test_kaf_011_and_dlq_007_without_a_dead_letter_topic_what_is_no_event_stops_its_key_and_stays(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker:
            async with kafka.raw() as producer:
                await producer.send_and_wait(naming.topic(PREFIX, topic), b"no event", key=b"k", partition=0)
            await broker.publish(topic, kafka.event(1, "k"))
            await broker.publish(topic, kafka.event(2, "other"))
            for taken in ([2], []):
                async with broker.subscribe(topic, group="g") as session:
                    assert [event.data for event in await kafka.take(session, len(taken))] == taken
                    await kafka.nothing(session)
                    assert session._committer.accounts[0].ledger.offset == 0

    asyncio.run(story())


def test_what_cannot_be_dead_lettered_stays_held(kafka):
    async def story():
        topic, dead = await topics(kafka)
        policy = Policy(dead_letter=dead)
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, kafka.event(1))
            delivery = await kafka.next(session)
            await remove(kafka.url, dead)
            with pytest.raises(Rejected, match="no-topic"):
                await delivery.reject("bad")
            assert not delivery.lost
            await kafka.nothing(session, 1.3)
            await delivery.ack()
            assert session._committer.accounts[0].ledger.offset == 1

    asyncio.run(story())


def test_what_could_not_be_dead_lettered_at_the_end_of_its_last_lease_is_tried_again(kafka):
    async def story():
        topic, dead = await topics(kafka)
        policy = Policy(dead_letter=dead, ack_timeout=0.3, max_attempts=1)
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            await broker.publish(topic, kafka.event(1))
            await kafka.next(session)
            await remove(kafka.url, dead)
            await kafka.nothing(session, 0.8)
            await kafka.topic(dead)
            await kafka.nothing(session, 1.5)
            assert session._committer.accounts[0].ledger.offset == 1
            assert len(await letters(kafka, broker, dead, 1)) == 1

    asyncio.run(story())


def test_a_reject_that_is_under_way_when_its_member_leaves_is_waited_for(kafka):
    async def story():
        topic, dead = await topics(kafka)
        policy = Policy(dead_letter=dead)
        async with kafka.broker() as broker:
            await broker.publish(topic, kafka.event(1))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                rejecting = asyncio.ensure_future((await kafka.next(session)).reject("bad"))
                await asyncio.sleep(0)
            await rejecting
            assert len(await letters(kafka, broker, dead, 1)) == 1

    asyncio.run(story())


def test_many_dead_letters_of_a_partition_and_what_else_is_settled_meanwhile(kafka):
    async def story():
        topic, dead = await topics(kafka)
        policy = Policy(dead_letter=dead)
        async with kafka.broker() as broker:
            for n in range(40):
                await broker.publish(topic, kafka.event(n))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                held = [await kafka.next(session) for _ in range(40)]
                verbs = [one.reject("odd") if one.event.data % 2 else one.ack() for one in held]
                await asyncio.gather(*verbs)
                group = session._group
                place = (await committed(session._link, group.id, group.topic.stored_as))[0]
                assert decode(*place).offset == 40
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                await kafka.nothing(session)
            found = await letters(kafka, broker, dead, 20)
            assert sorted(event.data for event, _ in found) == list(range(1, 40, 2))

    asyncio.run(story())
