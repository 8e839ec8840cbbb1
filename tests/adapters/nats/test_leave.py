from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.nats import disposal
from eventproof.adapters.policy import Policy


def now():
    return asyncio.get_running_loop().time()


def test_adp_008_what_is_unsettled_goes_to_another_member_at_once(nats):
    async def story():
        topic = await nats.topic(partitions=4)
        async with nats.broker() as one, nats.broker() as two:
            for n in range(40):
                await one.publish(topic, nats.event(n, str(n % 7)))
            async with two.subscribe(topic, group="g") as stays:
                async with one.subscribe(topic, group="g") as leaves:
                    held = [await nats.next(leaves) for _ in range(3)]
                    assert len({delivery.partition for delivery in held}) == 3
                start = now()
                assert all(delivery.lost for delivery in held)
                seen = await nats.take(stays, 40)
                assert now() - start < 1.0
        for key in range(7):
            assert [e.data for e in seen if e.key == str(key)] == list(range(key, 40, 7))

    asyncio.run(story())


def test_nat_024_a_leaving_member_swallows_no_event(nats):
    """Its pulls wait at the server while events are published; none may go to an inbox that nobody reads."""

    async def story():
        topic = await nats.topic(partitions=2)
        turns, each = 25, 8
        async with nats.broker() as one, nats.broker() as two:
            seen, longest = [], 0.0
            async with two.subscribe(topic, group="g") as stays:
                for turn in range(turns):
                    async with one.subscribe(topic, group="g") as leaves:
                        await nats.nothing(leaves, 0.01)
                        publishing = [
                            asyncio.ensure_future(one.publish(topic, nats.event(turn * each + n)))
                            for n in range(each)
                        ]
                        await publishing[turn % each]
                    start = now()
                    seen += [event.data for event in await nats.take(stays, each)]
                    longest = max(longest, now() - start)
                    await asyncio.gather(*publishing)
        assert sorted(seen) == list(range(turns * each))
        assert longest < 1.0, "an event that is swallowed comes back only by its lease of 30 s"

    asyncio.run(story())


def test_a_settled_delivery_is_not_returned(nats):
    async def story():
        topic = await nats.topic(partitions=2)
        policy = Policy(ack_timeout=0.1)
        async with nats.broker() as broker:
            for n in range(6):
                await broker.publish(topic, nats.event(n))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                settling = [asyncio.ensure_future((await nats.next(session)).ack()) for _ in range(6)]
            await asyncio.gather(*settling)
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                await nats.nothing(session, 0.8)

    asyncio.run(story())


def test_a_member_that_vanishes_is_replaced_when_its_leases_end(nats):
    async def story():
        topic = await nats.topic(partitions=2)
        policy = Policy(ack_timeout=0.3)
        async with nats.broker() as one, nats.broker() as two:
            for n in range(10):
                await one.publish(topic, nats.event(n))
            gone = one.subscribe(topic, group="g", policy=policy)
            held = await nats.next(await gone.__aenter__())
            await one._link.client.close()
            async with two.subscribe(topic, group="g", policy=policy) as stays:
                seen = await nats.take(stays, 10)
            assert held.event in seen
            await gone.__aexit__(None, None, None)

    asyncio.run(story())


def test_a_leave_that_is_cancelled_leaves_the_connection_usable(nats):
    async def story():
        topic = await nats.topic()
        for steps in range(20):
            async with nats.broker(deadline=1.0) as broker:
                session = broker.subscribe(topic, group="g")
                await session.__aenter__()
                leaving = asyncio.ensure_future(session.__aexit__(None, None, None))
                for _ in range(steps):
                    await asyncio.sleep(0)
                leaving.cancel()
                await asyncio.gather(leaving, return_exceptions=True)
                await broker.publish(topic, nats.event(steps))

    asyncio.run(story())


@pytest.mark.parametrize(("late", "sent"), [(0.0, True), (30.2, True), (32.0, False), (40.0, False)])
def test_what_is_given_back_late_in_the_lease_is_left_to_it(nats, monkeypatch, late, sent):
    """The server would take a nak for the attempt that another member has by then."""
    naks = []

    async def note(link, message):
        naks.append(message.sequence)

    monkeypatch.setattr(disposal, "hand_back", note)

    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1))
            async with broker.subscribe(topic, group="g") as session:
                waiting = asyncio.ensure_future(session.__anext__())
                while not session._intake.puller.asks(0):  # noqa: ASYNC110 - a poll
                    await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting])
                while not session._intake.ready:  # noqa: ASYNC110 - a poll
                    await asyncio.sleep(0)
                prefetched = session._intake.ready.popleft()
                prefetched.message.leased -= late
                await disposal.give_back(session._link, session._group, prefetched)

    asyncio.run(story())
    assert naks == [1] * sent
