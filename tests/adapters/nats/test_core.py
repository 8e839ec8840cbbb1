"""Core NATS behind the port: once or not at all."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest

from eventproof.adapters.clock import now
from eventproof.adapters.connect import connect as by_scheme
from eventproof.adapters.errors import (
    AlreadySettled,
    Indeterminate,
    InvalidOption,
    LeaseExpired,
    Rejected,
    SessionLost,
    Unreachable,
    Unsupported,
)
from eventproof.adapters.nats import naming, provision
from eventproof.adapters.nats.core import connect
from eventproof.adapters.nats.core.session import AHEAD
from eventproof.adapters.policy import Policy
from eventproof.conformance.targets.natsserver import NatsServer

NOW = Policy(start="latest")


def policy(**changes):
    return Policy(start="latest", **changes)


@asynccontextmanager
async def joined(broker, topic="t", group="g", **changes):
    async with broker.subscribe(topic, group=group, policy=policy(**changes)) as session:
        yield session


def test_the_scheme_finds_the_adapter_and_the_client_gets_its_own(nats):
    async def story():
        async with (
            by_scheme(nats.url.replace("nats:", "nats+core:")) as broker,
            connect(nats.url) as other,
            joined(other, "by scheme") as session,
        ):
            assert broker.claims.loss == "may"
            assert broker.claims.duplicates == "never"
            receipt = await broker.publish("by scheme", nats.event(1))
            assert (receipt.position, receipt.partition, receipt.duplicate) == (None, None, False)
            delivery = await nats.next(session)
            assert delivery.event.data == 1
            assert (delivery.attempt, delivery.position, delivery.partition) == (1, None, None)

    asyncio.run(story())


def test_each_group_gets_an_event_once_and_one_member_of_it(nats):
    async def story():
        async with (
            connect(nats.url) as one,
            connect(nats.url) as two,
            joined(one, "shared") as first,
            joined(two, "shared") as second,
            joined(two, "shared", "h") as other,
        ):
            for n in range(60):
                await one.publish("shared", nats.event(n, f"key {n}"))
            assert [event.data for event in await nats.take(other, 60)] == list(range(60))
            seen = {first: [], second: []}

            async def consume(session):
                while True:
                    delivery = await session.__anext__()
                    await delivery.ack()
                    seen[session].append(delivery.event.data)
                    if sum(map(len, seen.values())) == 60:
                        return

            await asyncio.wait(
                [asyncio.ensure_future(consume(s)) for s in seen],
                return_when=asyncio.FIRST_COMPLETED,
                timeout=5,
            )
            assert sorted(seen[first] + seen[second]) == list(range(60))
            assert seen[first]
            assert seen[second]

    asyncio.run(story())


def test_a_group_that_nobody_is_in_gets_nothing_later(nats):
    async def story():
        async with connect(nats.url) as broker:
            async with joined(broker, "away"):
                pass
            await broker.publish("away", nats.event(1))
            async with joined(broker, "away") as session:
                await broker.publish("away", nats.event(2))
                assert (await nats.next(session)).event.data == 2
                await nats.nothing(session, 0.1)

    asyncio.run(story())


def test_a_member_is_there_when_entering_returns_and_gone_when_leaving_does(nats):
    """What is published between the two is its own, and what is published after goes to the other."""

    async def story():
        async with connect(nats.url) as one, connect(nats.url) as two, joined(two, "moving") as stays:
            for n in range(20):
                async with joined(one, "moving"):
                    pass
                await two.publish("moving", nats.event(n))
                assert (await nats.next(stays)).event.data == n

    asyncio.run(story())


def test_a_call_returns_when_the_server_has_handled_it_and_not_before(nats):
    """While the server stands still, nothing is confirmed: no publish, no entering, no leaving."""

    async def story():
        server = NatsServer()
        try:
            await server.start()
            async with connect(server.url) as broker:
                left = AsyncExitStack()
                await left.enter_async_context(joined(broker, "still"))
                entered = AsyncExitStack()
                nats.stand_still(server.pid)
                acts = [
                    broker.publish("still", nats.event(1)),
                    left.aclose(),
                    entered.enter_async_context(joined(broker, "still")),
                ]
                tasks = [asyncio.ensure_future(act) for act in acts]
                done, _ = await asyncio.wait(tasks, timeout=0.2)
                assert not done
                os.kill(server.pid, signal.SIGCONT)
                await asyncio.wait_for(asyncio.gather(*tasks), 5)
                await entered.aclose()
        finally:
            await server.remove()

    asyncio.run(story())


def test_the_sign_that_an_event_is_with_the_server_is_sent_behind_it(nats):
    async def story():
        seen = asyncio.Queue()

        async def note(message):
            await seen.put(message.subject)

        async with connect(nats.url) as listener, connect(nats.url) as broker:
            await listener._link.client.subscribe("eventproof-core.behind.>", cb=note)
            await listener._link.client.subscribe(f"{broker._link._requests._inbox}>", cb=note)
            await listener._link.barrier()
            await broker.publish("behind", nats.event(1))
            subjects = [await asyncio.wait_for(seen.get(), 5) for _ in range(2)]
        assert subjects[0] == naming.subject("eventproof-core", "behind", nats.event(1))

    asyncio.run(story())


def test_dlv_002_overlapping_patterns_give_an_event_once(nats):
    types = ["shop.order.created", "shop.order", "shop.user.x", "shop.user.x.y", "other"]

    async def story():
        async with (
            connect(nats.url) as broker,
            joined(
                broker, "typed", types=("shop.user.*", "shop.user.x", "shop.user.x.*", "other")
            ) as session,
        ):
            for n, type_ in enumerate(types):
                await broker.publish("typed", nats.event(n, type=type_))
            assert sorted(event.data for event in await nats.take(session, 3)) == [2, 3, 4]
            await nats.nothing(session, 0.1)

    asyncio.run(story())


def test_members_with_other_filters_share_what_both_want(nats):
    """The server knows a group by its name, whatever the patterns of its members."""

    async def story():
        async with (
            connect(nats.url) as one,
            connect(nats.url) as two,
            joined(one, "mixed", types=("a.*",)) as wide,
            joined(two, "mixed", types=("a.b",)) as narrow,
        ):
            for n in range(40):
                await one.publish("mixed", nats.event(n, type="a.b"))
            got = [await received(wide), await received(narrow)]
            assert sorted(got[0] + got[1]) == list(range(40))
            assert all(got)

    asyncio.run(story())


async def received(session):
    """What is there for a session until a while passes without anything."""
    found = []
    try:
        while True:
            delivery = await asyncio.wait_for(session.__anext__(), 0.2)
            await delivery.ack()
            found.append(delivery.event.data)
    except asyncio.TimeoutError:
        return found


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Policy(), "start='latest'"),
        (Policy(start="latest", dead_letter="dead"), "no dead letters"),
        (Policy(start="latest", dead_letter="dead", max_attempts=3), "no dead letters"),
    ],
)
def test_adp_005_what_cannot_be_kept_is_refused_on_entering(nats, asked, says):
    async def story():
        async with connect(nats.url) as broker:
            with pytest.raises(Unsupported, match=says) as refused:
                async with broker.subscribe("t", group="g", policy=asked):
                    pytest.fail("entered")
            assert "nats://" in str(refused.value)

    asyncio.run(story())


def test_settling_is_the_members_own_matter_and_nothing_comes_back(nats):
    async def story():
        async with connect(nats.url) as broker, joined(broker, "settled") as session:
            for n in range(4):
                await broker.publish("settled", nats.event(n))
            acked, nacked, rejected, left = [await nats.next(session) for _ in range(4)]
            await acked.ack()
            await acked.ack()
            with pytest.raises(AlreadySettled):
                await acked.nack()
            await nacked.nack(delay=0)
            with pytest.raises(Rejected, match="no-dead-letter"):
                await rejected.reject("no")
            await rejected.extend()
            await rejected.ack()
            await nats.nothing(session, 0.2)
        with pytest.raises(LeaseExpired):
            await left.ack()

    asyncio.run(story())


def test_flw_001_no_more_is_handed_out_than_may_be_in_flight(nats):
    async def story():
        async with connect(nats.url) as broker, joined(broker, "narrow", max_in_flight=2) as session:
            for n in range(6):
                await broker.publish("narrow", nats.event(n))
            held = [await nats.next(session) for _ in range(2)]
            await nats.nothing(session, 0.1)
            await held[0].ack()
            held.append(await nats.next(session))
            await nats.nothing(session, 0.1)
            waiting = asyncio.ensure_future(session.__anext__())
            await asyncio.sleep(0)
            await held[1].nack()
            assert (await asyncio.wait_for(waiting, 5)).event.data == 3

    asyncio.run(story())


def test_the_end_of_a_lease_makes_room_and_extending_keeps_it(nats):
    async def story():
        async with (
            connect(nats.url) as broker,
            joined(broker, "lapsing", max_in_flight=1, ack_timeout=0.3) as session,
        ):
            for n in range(3):
                await broker.publish("lapsing", nats.event(n))
            start = asyncio.get_running_loop().time()
            first = await nats.next(session)
            second = await nats.next(session)
            assert asyncio.get_running_loop().time() - start >= 0.29
            assert (first.event.data, second.event.data) == (0, 1)
            with pytest.raises(LeaseExpired):
                await first.ack()
            waiting = asyncio.ensure_future(session.__anext__())
            await asyncio.wait([waiting], timeout=0.2)
            await second.extend()
            await asyncio.wait([waiting], timeout=0.2)
            assert not waiting.done()
            assert (await waiting).event.data == 2

    asyncio.run(story())


def test_adp_006_a_cancelled_wait_loses_nothing(nats):
    async def story():
        async with connect(nats.url) as broker, joined(broker, "cancelled") as session:
            got = []
            for n in range(30):
                waiting = asyncio.ensure_future(session.__anext__())
                await asyncio.sleep(0)
                publishing = asyncio.ensure_future(broker.publish("cancelled", nats.event(n)))
                for _ in range(n % 6):
                    await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting])
                if not waiting.cancelled():
                    got.append(waiting.result().event.data)
                await publishing
            assert sorted(got + await received(session)) == list(range(30))

    asyncio.run(story())


def test_flw_002_what_expires_while_it_waits_is_not_handed_out(nats):
    async def story():
        async with connect(nats.url) as broker, joined(broker, "expiring") as session:
            soon, later = now() + timedelta(seconds=0.1), now() + timedelta(hours=1)
            await broker.publish("expiring", nats.event(1, extensions={"expirytime": soon}))
            await broker.publish("expiring", nats.event(2, extensions={"expirytime": later}))
            await asyncio.sleep(0.15)
            assert (await nats.next(session)).event.data == 2

    asyncio.run(story())


def test_what_is_no_event_is_dropped_and_told(nats, caplog):
    async def story():
        async with connect(nats.url) as broker, joined(broker, "raw") as session:
            subject = naming.subject("eventproof-core", "raw", nats.event())
            await broker._link.client.publish(subject, b"no event")
            await broker._link.client.publish(
                subject, b"{}", headers={"content-type": "application/cloudevents+json"}
            )
            await broker.publish("raw", nats.event(3))
            assert (await nats.next(session)).event.data == 3

    with caplog.at_level(logging.WARNING):
        asyncio.run(story())
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        f"a message on {naming.subject('eventproof-core', 'raw', nats.event())} is no event and is dropped"
    ] * 2


def test_pub_002_too_large_is_refused_at_the_limit_and_nothing_is_sent(nats):
    async def story():
        async with connect(nats.url) as broker, joined(broker, "large") as session:
            limit = broker.claims.flow.max_payload
            with pytest.raises(Rejected, match="too-large"):
                await broker.publish("large", nats.event(1, data="x" * limit))
            await broker.publish("large", nats.event(2, data="x" * (limit - 400)))
            assert (await nats.next(session)).event.id == "2"
            with pytest.raises(Rejected, match="invalid"):
                await broker.publish("", nats.event(3))
            with pytest.raises(Rejected, match="invalid"):
                async with broker.subscribe("t", group="", policy=NOW):
                    pytest.fail("entered")

    asyncio.run(story())


def test_a_closed_connection_refuses_and_ends_the_session(nats):
    async def story():
        async with connect(nats.url) as broker:
            async with joined(broker, "closing") as session:
                waiting = asyncio.ensure_future(session.__anext__())
                await asyncio.sleep(0)
                await broker._link.client.close()
                with pytest.raises(SessionLost, match="closed"):
                    await waiting
            with pytest.raises(Rejected, match="closed"):
                await broker.publish("closing", nats.event(1))

    asyncio.run(story())


def test_it_shares_no_events_with_jetstream_unless_it_is_told_to(nats):
    async def story():
        await provision(nats.url, "both", partitions=1)
        async with nats.broker() as durable, connect(nats.url) as broker:
            async with joined(broker, "both") as session:
                await durable.publish("both", nats.event(1))
                await broker.publish("both", nats.event(2))
                assert (await nats.next(session)).event.data == 2
            async with durable.subscribe("both", group="g") as stored:
                assert [event.data for event in await nats.take(stored, 1)] == [1]
                await nats.nothing(stored, 0.1)
        async with (
            connect(nats.url, prefix="eventproof") as listener,
            nats.broker() as durable,
            joined(listener, "both") as session,
        ):
            await durable.publish("both", nats.event(3))
            assert (await nats.next(session)).event.data == 3

    asyncio.run(story())


def test_a_member_that_leaves_says_how_much_is_lost_with_it(nats, caplog):
    async def story():
        async with connect(nats.url) as broker, joined(broker, "left", max_in_flight=1) as session:
            for n in range(AHEAD + 8):
                await broker.publish("left", nats.event(n))
            await nats.next(session)

    with caplog.at_level(logging.WARNING):
        asyncio.run(story())
    (said,) = [record.message for record in caplog.records]
    assert re.fullmatch(rf"group g: {AHEAD + 6} events or more are lost with a member that left", said)


def test_bad_options_and_no_server_are_one_clear_error(nats):
    async def story(url, **options):
        async with connect(url, **options):
            pytest.fail("connected")

    with pytest.raises(InvalidOption, match="prefix"):
        asyncio.run(story(nats.url, prefix="a b"))
    with pytest.raises(Unreachable, match="no NATS server answers at"):
        asyncio.run(story("nats+core://127.0.0.1:1"))


def test_it_goes_on_over_a_restart_of_the_server(nats):
    """Publishing meanwhile is indeterminate or confirmed, and the group is there again by itself."""

    async def story():
        server = NatsServer()
        try:
            await server.start()
            async with connect(server.url, deadline=1.0) as broker, joined(broker, "restarted") as session:
                await broker.publish("restarted", nats.event(0))
                assert (await nats.next(session)).event.data == 0
                await server.stop()
                with pytest.raises(Indeterminate):
                    await asyncio.wait_for(broker.publish("restarted", nats.event(1)), 5)
                await server.start()
                await broker._link.ready()
                await broker.publish("restarted", nats.event(2))
                while (await nats.next(session)).event.data != 2:
                    pass
        finally:
            await server.remove()

    asyncio.run(story())
