from __future__ import annotations

import asyncio
import calendar
import json
import logging
from datetime import datetime, timedelta, timezone
from time import strptime

import pytest

from eventproof.adapters.errors import Indeterminate
from eventproof.adapters.nats import deadletter
from eventproof.adapters.nats.provision import find
from eventproof.adapters.nats.publish import MESSAGE_ID
from eventproof.adapters.policy import Policy
from eventproof.schemas.deadletter import from_dead_letter


async def topics(nats, **more):
    dead = await nats.topic()
    given = {"max_attempts": 3, "dead_letter": dead, "backoff": (0.02,)} | more
    return await nats.topic(), dead, Policy(**given)


async def letters(nats, broker, dead, number):
    """So many dead letters, and no more."""
    async with broker.subscribe(dead, group="reader") as session:
        found = [from_dead_letter(event) for event in await nats.take(session, number)]
        await nats.nothing(session, 0.1)
        return found


async def until_silence(nats, session):
    """Ack whatever comes; the partitions it came from."""
    served = set()
    while True:
        try:
            delivery = await nats.next(session, 0.8)
        except asyncio.TimeoutError:
            return served
        served.add(delivery.partition)
        await delivery.ack()


def test_dlq_001_an_exhausted_event_and_dlq_006_a_rejected_one_leave_one_dead_letter_each(nats):
    async def story():
        # At the last attempt no back-off is waited for.
        topic, dead, policy = await topics(nats, backoff=(0.02, 0.02, 30.0))
        async with nats.broker() as broker:
            poison, bad, good = (nats.event(n, "k") for n in (1, 2, 3))
            for event in (poison, bad, good):
                await broker.publish(topic, event)
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                for attempt in (1, 2, 3):
                    delivery = await nats.next(session)
                    assert (delivery.event, delivery.attempt) == (poison, attempt)
                    await delivery.nack()
                delivery = await nats.next(session)
                await delivery.reject("no such order\n")
                await delivery.reject("again")
                assert await nats.take(session, 1) == [good]
                await nats.nothing(session)
            (first, exhausted), (second, rejected) = await letters(nats, broker, dead, 2)
        assert (first, second) == (poison, bad)
        assert (exhausted.reason, exhausted.attempts, exhausted.error) == ("attempts", 3, "")
        assert (rejected.reason, rejected.attempts, rejected.error) == ("rejected", 1, "no such order ")
        assert (rejected.topic, rejected.group) == (topic, "g")

    asyncio.run(story())


def test_red_005_an_event_whose_last_lease_ran_out_is_not_handed_out_again(nats):
    async def story():
        topic, dead, policy = await topics(nats, max_attempts=2, ack_timeout=0.1)
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                await (await nats.next(session)).lost
                await (await nats.next(session)).lost
                await nats.nothing(session, 0.9)
            ((event, told),) = await letters(nats, broker, dead, 1)
        assert (event, told.reason, told.attempts) == (nats.event(1, time=event.time), "attempts", 2)

    asyncio.run(story())


def test_dlq_002_and_nat_023_what_was_fetched_ahead_and_returned_does_not_use_up_attempts(nats):
    async def story():
        topic, _, policy = await topics(nats, max_attempts=2, max_in_flight=1)
        async with nats.broker() as broker:
            for n in range(2):
                await broker.publish(topic, nats.event(n))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                await nats.take(session, 1)
                await asyncio.sleep(0.1)  # the second event is fetched ahead, and nobody asks for it
            for _ in range(4):
                async with broker.subscribe(topic, group="g", policy=policy) as session:
                    with pytest.raises(asyncio.TimeoutError):
                        await asyncio.wait_for(session.__anext__(), 0.0001)
                    await asyncio.sleep(0.05)
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                for attempt in (1, 2):
                    delivery = await nats.next(session)
                    assert delivery.attempt == attempt
                    await delivery.nack()

    asyncio.run(story())


def test_dlq_004_and_nat_021_a_crash_between_the_dead_letter_and_the_end_leaves_one_dead_letter(
    nats, monkeypatch
):
    async def story():
        topic, dead, policy = await topics(nats, ack_timeout=0.15)
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                delivery = await nats.next(session)
                link = broker._link
                request = link.request

                async def crash(subject, payload=b"", **more):
                    if payload == b"+TERM":
                        raise Indeterminate("crashed")
                    return await request(subject, payload, **more)

                with monkeypatch.context() as patch:
                    patch.setattr(link, "request", crash)
                    with pytest.raises(Indeterminate, match="crashed"):
                        await delivery.reject("bad")
                again = await nats.next(session)
                assert again.attempt == 2
                await again.reject("bad")
                await nats.nothing(session, 0.1)
            await letters(nats, broker, dead, 1)

    asyncio.run(story())


def test_nat_022_two_groups_leave_two_dead_letters_of_one_event(nats):
    async def story():
        topic, dead, policy = await topics(nats)
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1))
            for group in ("one", "two"):
                async with broker.subscribe(topic, group=group, policy=policy) as session:
                    await (await nats.next(session)).reject("bad")
            found = await letters(nats, broker, dead, 2)
        assert {told.group for _, told in found} == {"one", "two"}

    asyncio.run(story())


def test_nat_022_the_id_names_the_place_of_the_original_and_when_it_was_stored(nats):
    async def story():
        topic, dead, policy = await topics(nats)
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1))
            await broker.publish(topic, nats.event(2))
            async with broker.subscribe(topic, group="my group", policy=policy) as session:
                await nats.take(session, 1)
                await (await nats.next(session)).reject("bad")
            js, stream = broker._link.client.jetstream(), (await find(broker._link, topic)).stream
            letter = await js.get_msg((await find(broker._link, dead)).stream, 1)
            body = (await broker._link.request(f"$JS.API.STREAM.MSG.GET.{stream}", b'{"seq":2}')).data
        return letter.headers[MESSAGE_ID], stream, json.loads(body)["message"]["time"]

    written, stream, time = asyncio.run(story())
    whole, _, fraction = time.rstrip("Z").partition(".")
    stored = f"{calendar.timegm(strptime(whole, '%Y-%m-%dT%H:%M:%S'))}{fraction:0<9}"
    assert written == f"dlq:{stream}:my=20group~0:2:{stored}"


def test_the_dead_letter_of_the_largest_event_fits(nats):
    async def story():
        topic, dead, policy = await topics(nats)
        async with nats.broker() as broker:
            event = nats.event(data="x" * (broker.claims.flow.max_payload - 200))
            await broker.publish(topic, event)
            async with broker.subscribe(topic, group="g" * 150, policy=policy) as session:
                await (await nats.next(session)).reject('"' * 2000)
            ((found, told),) = await letters(nats, broker, dead, 1)
        assert (found, len(told.error)) == (event, 1024)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        (b"\xff\x00 no json", {"Content-Type": "application/cloudevents+json"}),
        (b'{"specversion": "1.0"}', {"content-type": "application/cloudevents+json"}),
        (b"plain", None),
        (b"", {"Content-Type": "text/plain"}),
    ],
)
def test_dlq_007_and_nat_016_a_message_that_is_no_event_is_dead_lettered_with_its_bytes(
    nats, payload, headers
):
    async def story():
        topic, dead, policy = await topics(nats)
        async with nats.broker() as broker:
            await nats.raw(broker, topic, payload, headers)
            await broker.publish(topic, nats.event(1))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                assert [event.data for event in await nats.take(session, 1)] == [1]
                await nats.nothing(session, 0.1)
            ((event, told),) = await letters(nats, broker, dead, 1)
        assert (event.data, told.reason, told.topic) == (payload, "undecodable", topic)

    asyncio.run(story())


def test_nat_016_without_a_dead_letter_topic_the_lane_of_a_message_that_is_no_event_stops(nats, caplog):
    async def story():
        topic = await nats.topic(partitions=3)
        async with nats.broker() as broker:
            await nats.raw(broker, topic, b"no event")
            for n in range(30):
                await broker.publish(topic, nats.event(n))
            policy = Policy(ack_timeout=0.1)
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                served = await until_silence(nats, session)
        assert len(served) == 2
        stops = [record for record in caplog.records if "no event" in record.getMessage()]
        assert len(stops) == 1, "said once, never looped"
        assert stops[0].levelno == logging.ERROR

    asyncio.run(story())


@pytest.mark.parametrize("max_attempts", [3, None])
def test_flw_002_an_expired_event_is_not_handed_out(nats, max_attempts):
    async def story():
        topic, dead, policy = await topics(nats, max_attempts=max_attempts)
        if max_attempts is None:
            policy = Policy()
        soon = datetime.now(timezone.utc) + timedelta(seconds=0.15)
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1, extensions={"expirytime": soon - timedelta(hours=1)}))
            await broker.publish(topic, nats.event(2, extensions={"expirytime": soon}))
            await broker.publish(topic, nats.event(3, extensions={"expirytime": soon + timedelta(hours=1)}))
            await asyncio.sleep(0.2)
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                assert [event.data for event in await nats.take(session, 1)] == [3]
                await nats.nothing(session)
            if max_attempts is not None:
                found = await letters(nats, broker, dead, 2)
                assert [(event.data, told.reason, told.attempts) for event, told in found] == [
                    (1, "expired", 0),
                    (2, "expired", 0),
                ]

    asyncio.run(story())


def test_nat_021_a_dead_letter_that_cannot_be_written_leaves_the_event_with_the_group(nats, monkeypatch):
    async def story():
        topic, _, policy = await topics(nats, ack_timeout=0.2)
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                delivery = await nats.next(session)

                async def fails(*_, **__):
                    raise Indeterminate("no confirmation")

                with monkeypatch.context() as patch:
                    patch.setattr(deadletter, "store", fails)
                    with pytest.raises(Indeterminate):
                        await delivery.reject("bad")
                assert (await nats.next(session)).attempt == 2

    asyncio.run(story())
