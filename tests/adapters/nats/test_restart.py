"""What a hand-out is worth when the server process that knew of it is gone."""

from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import Indeterminate, LeaseExpired
from eventproof.adapters.nats import connect, provision
from eventproof.adapters.policy import Policy
from tests.adapters.nats.test_connection import with_own_server

SOON = 2.0
POLICY = Policy(ack_timeout=4.0, max_in_flight=1)
OVER = POLICY.ack_timeout + 3.0  # the server's own lease, and time to come back


def now():
    return asyncio.get_running_loop().time()


def restarted(server):
    return server.restart()


def killed(server):
    server.kill()
    return server.revive()


@pytest.mark.parametrize("fault", [restarted, killed])
def test_nat_025_what_was_held_over_the_end_of_the_server_is_lost_at_once_and_comes_again(nats, fault):
    async def story(server):
        await server.start()
        await provision(server.url, "t", partitions=1)
        async with connect(server.url) as broker, broker.subscribe("t", group="g", policy=POLICY) as session:
            await broker.publish("t", nats.event(1))
            held = await nats.next(session)
            await fault(server)
            await asyncio.wait_for(held.lost, SOON)  # by its clock it had twice as long
            for settle in (held.ack, held.nack, held.extend):
                with pytest.raises(LeaseExpired):
                    await settle()
            again = await nats.next(session, OVER)
            assert again.event == held.event
            await again.ack()
            await nats.nothing(session)

    with_own_server(story)


def test_nat_025_what_was_fetched_ahead_of_a_restart_is_not_handed_out_after_it(nats):
    """The server keeps its leases over an orderly restart, so nobody has the event before that of the message
    is over; had it been handed out, it would be its first attempt."""

    async def story(server):
        await server.start()
        await provision(server.url, "t", partitions=2)
        async with connect(server.url) as broker, broker.subscribe("t", group="g", policy=POLICY) as session:
            await nats.nothing(session, 0.1)  # pulls wait in both lanes
            for n in (0, 1):  # without a key, and of different partitions
                await broker.publish("t", nats.event(n))
            held = await nats.next(session)
            while not session._intake.ready:  # noqa: ASYNC110 - a poll
                await asyncio.sleep(0.01)
            start = now()
            await server.restart()
            found = [await nats.next(session, OVER)]
            assert now() - start > POLICY.ack_timeout - 1
            await found[0].ack()
            found.append(await nats.next(session, OVER))
            assert {(one.event.data, one.attempt) for one in found} == {(0, 2), (1, 2)}
            assert held.event in [one.event for one in found]

    with_own_server(story)


def test_nat_025_a_new_server_is_told_nothing_before_the_leases_have_ended(nats, monkeypatch):
    """The client library sends as soon as the server answers, and tells of it a round trip later."""

    async def story(server):
        await server.start()
        await provision(server.url, "t", partitions=1)
        async with connect(server.url) as broker, broker.subscribe("t", group="g", policy=POLICY) as session:
            await broker.publish("t", nats.event(1))
            held = await nats.next(session)
            reached, told = asyncio.Event(), asyncio.Event()

            async def flush(*_, **__):
                reached.set()
                await told.wait()

            monkeypatch.setattr(broker._link.client, "flush", flush)
            await server.restart()
            await asyncio.wait_for(reached.wait(), SOON)
            acking = asyncio.ensure_future(held.ack())
            await asyncio.wait([acking], timeout=0.2)
            told.set()
            with pytest.raises(LeaseExpired):
                await acking

    with_own_server(story)


def test_nat_027_an_ack_that_may_have_had_its_effect_is_not_refused(nats):
    async def story(server):
        await server.start()
        await provision(server.url, "t", partitions=1)
        async with connect(server.url) as broker, broker.subscribe("t", group="g", policy=POLICY) as session:
            await broker.publish("t", nats.event(1))
            held = await nats.next(session)
            nats.stand_still(server.pid)
            acking = asyncio.ensure_future(held.ack())
            await asyncio.sleep(0.05)  # it is in the server's socket
            await killed(server)
            with pytest.raises(Indeterminate):
                await acking
            with pytest.raises(LeaseExpired):  # of a second ack it is certain
                await held.ack()

    with_own_server(story)
