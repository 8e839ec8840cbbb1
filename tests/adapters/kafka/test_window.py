"""Deduplication on a real broker: a repeat waits until it is known what became of the copies before it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

import pytest

from eventproof.adapters import expiry

LATER = datetime(3000, 1, 1, tzinfo=timezone.utc)
MORTAL = {"expirytime": "2999-01-01T00:00:00Z"}


@pytest.mark.parametrize("another_member", [False, True])
def test_kaf_040_and_dlv_001_the_repeat_of_what_expired_while_it_waited_is_handed_out(
    kafka, monkeypatch, another_member
):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker:
            for event in [kafka.event(0, "k"), kafka.event(1, "k", extensions=MORTAL), kafka.event(2, "k")]:
                await broker.publish(topic, event)
            for _ in range(2):
                await broker.publish(topic, kafka.event(1, "k"))
            async with broker.subscribe(topic, group="g") as session:
                first = await kafka.next(session)
                monkeypatch.setattr(expiry, "now", lambda: LATER)
                await first.ack()
                assert [event.data for event in await kafka.take(session, 1)] == [2]
                if not another_member:
                    await the_repeat(session)
            if another_member:
                async with broker.subscribe(topic, group="g") as session:
                    await the_repeat(session)
            async with broker.subscribe(topic, group="g") as session:
                await kafka.nothing(session)

    async def the_repeat(session):
        delivery = await kafka.next(session)
        assert (delivery.event.data, delivery.position, delivery.attempt) == (1, "3", 1)
        await delivery.ack()
        await kafka.nothing(session)

    asyncio.run(story())


@pytest.mark.parametrize("key", ["k", None])
def test_kaf_038_and_dup_005_a_repeat_waits_until_the_first_copy_is_settled(kafka, key):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            for _ in range(3):
                await broker.publish(topic, kafka.event(1, key))
            delivery = await kafka.next(session)
            await kafka.nothing(session)
            await delivery.nack(delay=0)
            again = await kafka.next(session)
            assert (again.position, again.attempt) == ("0", 2)
            await again.ack()
            await kafka.nothing(session)
            await broker.publish(topic, kafka.event(2, key))
            assert [event.data for event in await kafka.take(session, 1)] == [2]
            assert session._committer.accounts[0].ledger.offset == 4

    asyncio.run(story())


def test_dup_005_a_key_that_is_another_one_is_another_scope(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            for key in ("k", "l", None):
                await broker.publish(topic, kafka.event(1, key))
            assert [event.key for event in await kafka.take(session, 3)] == ["k", "l", None]

    asyncio.run(story())
