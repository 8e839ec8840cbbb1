"""NAT-025: what an earlier server process sent is not handed out, settled or returned to the present one.

Over an orderly restart the server keeps its leases and its counts. So an event that was left alone comes back
when its lease is over, as the next attempt; had the old message been handed out, the attempt would be that of
the old one, and had it been returned, it would come at once.
"""

from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import Indeterminate, LeaseExpired
from eventproof.adapters.nats import connect, provision, returns
from tests.adapters.nats.test_connection import with_own_server
from tests.adapters.nats.test_restart import OVER, POLICY, SOON, now

LEFT_ALONE = 3.8  # seconds: the server's lease of 4.9, of which a restart may take 1


async def until(true):
    while not true():  # noqa: ASYNC110 - a poll
        await asyncio.sleep(0.01)


async def fetched(nats, broker, session):
    """An event waits in the session, and nobody takes it. Returns when it was published."""
    await nats.nothing(session, 0.1)
    start = now()
    await broker.publish("t", nats.event(1))
    await until(lambda: session._intake.ready)
    return start


async def under_review(server, broker, session):
    """The server is gone, and the session is about to ask it whether somebody else wants the event."""
    await server.stop()
    await until(lambda: not broker._link.connected)
    await until(lambda: not session._intake.ready)


def on_own_server(story):
    async def steps(server):
        await server.start()
        await provision(server.url, "t", partitions=1)
        async with connect(server.url) as broker:
            await story(server, broker)

    with_own_server(steps)


def test_nat_025_what_nobody_took_is_not_offered_again_by_the_session(nats):
    async def story(server, broker):
        async with broker.subscribe("t", group="g", policy=POLICY) as session:
            await fetched(nats, broker, session)
            await under_review(server, broker, session)
            await server.start()
            assert (await nats.next(session, OVER)).attempt == 2

    on_own_server(story)


def test_nat_025_what_is_still_being_looked_at_is_not_handed_out(nats, monkeypatch):
    reached, told, read = asyncio.Event(), asyncio.Event(), returns.read

    async def held_up(*arguments):
        reached.set()
        await told.wait()
        return await read(*arguments)

    async def story(server, broker):
        async with broker.subscribe("t", group="g", policy=POLICY) as session:
            await broker.publish("t", nats.event(1))
            first = await nats.next(session)
            monkeypatch.setattr(returns, "read", held_up)
            await first.nack(delay=0)
            await reached.wait()
            before = broker._link.server
            await server.restart()
            await until(lambda: broker._link.server != before)
            told.set()
            assert (await nats.next(session, OVER)).attempt == 3

    on_own_server(story)


def test_nat_025_a_member_that_leaves_returns_nothing_to_another_server(nats):
    async def story(server, broker):
        member = broker.subscribe("t", group="g", policy=POLICY)
        session = await member.__aenter__()
        start = await fetched(nats, broker, session)
        await under_review(server, broker, session)
        leaving = asyncio.ensure_future(member.__aexit__(None, None, None))
        await server.start()
        await leaving
        async with broker.subscribe("t", group="g", policy=POLICY) as other:
            assert (await nats.next(other, OVER)).attempt == 2
            assert now() - start > LEFT_ALONE

    on_own_server(story)


def test_nat_025_an_ack_of_a_member_that_left_ends_with_the_server(nats):
    async def story(server, broker):
        async with broker.subscribe("t", group="g", policy=POLICY) as session:
            await broker.publish("t", nats.event(1))
            held = await nats.next(session)
            await server.stop()
            await until(lambda: not broker._link.connected)
            acking = asyncio.ensure_future(held.ack())
            await asyncio.wait([acking], timeout=0.05)
        await server.start()
        with pytest.raises(LeaseExpired):
            await acking

    on_own_server(story)


def test_nat_025_a_nack_is_not_kept_for_the_next_server(nats, monkeypatch):
    """The client library sends on the next connection what it was given on a lost one, and tells that one is
    lost after it has closed the socket."""
    closed = asyncio.Event()

    async def story(server, broker):
        async with broker.subscribe("t", group="g", policy=POLICY) as session:
            start = now()
            await broker.publish("t", nats.event(1))
            held = await nats.next(session)
            client = broker._link.client
            monkeypatch.setattr(client._transport, "wait_closed", closed.wait)
            await server.stop()
            await until(lambda: not client.is_connected)
            nacking = asyncio.ensure_future(held.nack(delay=0))
            await asyncio.wait([nacking], timeout=0.05)
            closed.set()
            with pytest.raises(Indeterminate):
                await asyncio.wait_for(nacking, SOON)
            await server.start()
            assert (await nats.next(session, OVER)).attempt == 2
            assert now() - start > LEFT_ALONE

    on_own_server(story)
