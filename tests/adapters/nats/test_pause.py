"""A member whose process stands still: its socket fills, and what it finds there is no longer its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

from eventproof.adapters.nats import api, returns
from eventproof.adapters.nats.provision import find
from eventproof.adapters.policy import Policy
from eventproof.conformance.driver.process import open_process

SERVED = (sys.executable, "-m", "eventproof.conformance.driver")
LEASE = 0.3  # seconds; the server's own is 0.83
POLICY = Policy(ack_timeout=LEASE)


@asynccontextmanager
async def two_members(nats, policy: Policy = POLICY) -> AsyncIterator[SimpleNamespace]:
    """Of a group: one in a process of its own, and one here that enters later."""
    topic = await nats.topic()
    async with (
        nats.broker() as broker,
        open_process(SERVED) as process,
        process.connect(nats.url) as served,
        served.subscribe(topic, group="g", policy=policy) as frozen,
    ):
        waiting = asyncio.ensure_future(frozen.__anext__())
        await pulling(broker, topic)
        process.freeze()
        yield SimpleNamespace(
            broker=broker, topic=topic, process=process, waiting=waiting, frozen=frozen,
            here=lambda: broker.subscribe(topic, group="g", policy=policy),
        )  # fmt: skip
        waiting.cancel()
        await asyncio.wait([waiting])


async def pulling(broker, topic: str) -> None:
    """Wait until a pull of the group is at the server."""
    stream = (await find(broker._link, topic)).stream
    while not (await api.consumer_info(broker._link, stream, "g~0")).num_waiting:  # noqa: ASYNC110 - a poll
        await asyncio.sleep(0.01)


def test_nat_026_what_came_while_the_process_stood_still_is_not_handed_out(nats):
    """The server sends it to the frozen member, and when its lease is over to the other one."""

    async def story():
        async with two_members(nats) as members:
            await members.broker.publish(members.topic, nats.event(1))
            async with members.here() as other:
                second = await nats.next(other)
                assert second.attempt >= 2
                await second.ack()
            members.process.thaw()
            await members.broker.publish(members.topic, nats.event(2))
            first = await asyncio.wait_for(members.waiting, 5)
            assert (first.event.data, first.attempt) == (2, 1)
            await first.ack()

    asyncio.run(story())


def test_nat_026_an_event_that_another_member_holds_is_not_handed_out(nats):
    async def story():
        async with two_members(nats) as members:
            await members.broker.publish(members.topic, nats.event(1))
            async with members.here() as other:
                second = await nats.next(other)
                members.process.thaw()
                for _ in range(5):
                    await asyncio.wait([members.waiting], timeout=0.2)
                    await second.extend()
                assert not members.waiting.done()
                await second.ack()

    asyncio.run(story())


def test_nat_026_what_another_member_settled_is_not_dead_lettered(nats):
    """It expired meanwhile, which the member that was frozen is the first to notice."""

    async def story():
        dead = await nats.topic()
        policy = Policy(ack_timeout=LEASE, dead_letter=dead)
        async with two_members(nats, policy) as members:
            expiry = datetime.now(timezone.utc) + timedelta(seconds=2.5)
            event = nats.event(1, extensions={"expirytime": expiry.strftime("%Y-%m-%dT%H:%M:%S.%fZ")})
            await members.broker.publish(members.topic, event)
            async with members.here() as other:
                await (await nats.next(other)).ack()
                await nats.nothing(other, (expiry - datetime.now(timezone.utc)).total_seconds() + 0.1)
            members.process.thaw()
            await members.broker.publish(members.topic, nats.event(2))
            second = await asyncio.wait_for(members.waiting, 5)
            assert second.event.data == 2
            await second.ack()
            await nats.nothing(members.frozen)
            async with members.broker.subscribe(dead, group="dead") as letters:
                await nats.nothing(letters)

    asyncio.run(story())


def test_nat_023_a_note_about_a_message_that_was_settled_does_not_replace_that_of_a_later_one(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker, broker.subscribe(topic, group="g") as session:
            link, group = broker._link, session._group
            for n in (1, 2):
                await broker.publish(topic, nats.event(n))
            first = await nats.next(session)
            message = first.hand_out.prefetched.message
            await returns.write(link, group, message, 2)
            assert await returns.read(link, group, message) == 2
            await first.ack()
            second = (await nats.next(session)).hand_out.prefetched.message
            await returns.write(link, group, second, 1)
            await returns.write(link, group, message, 3)
            assert await returns.read(link, group, second) == 1

    asyncio.run(story())
