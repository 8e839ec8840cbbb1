"""Pulls that stand for several messages: asked seldom, and no trap for what the others could take."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from eventproof.adapters.nats import pull
from eventproof.adapters.policy import Policy

LANES, EVENTS = 2, 96


@pytest.fixture
def asked(monkeypatch):
    """The batch of each pull, by session."""
    batches, ask = {}, pull.Puller._ask

    async def counted(puller, lane, batch):
        batches.setdefault(puller.inbox, []).append(batch)
        await ask(puller, lane, batch)

    monkeypatch.setattr(pull.Puller, "_ask", counted)
    return batches


@asynccontextmanager
async def working(session, tasks, seen):
    async def work():
        async for delivery in session:
            await delivery.ack()
            seen.append(delivery.event.data)

    workers = [asyncio.ensure_future(work()) for _ in range(tasks)]
    try:
        yield
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)


async def until(condition, within=5.0):
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while not condition():
        assert loop.time() < end
        await asyncio.sleep(0.001)


async def publish(nats, broker, topic, numbers):
    for n in numbers:
        await broker.publish(topic, nats.event(n, f"k{n}"))


@pytest.mark.parametrize(
    ("tasks", "policy", "pulls"),
    [
        (LANES, Policy(), EVENTS // pull.STANDING + LANES),
        (LANES, Policy(max_in_flight=LANES), EVENTS // pull.STANDING + LANES),
        (LANES, Policy(max_in_flight=1), None),
    ],
)
def test_who_works_on_every_lane_asks_once_for_many(nats, asked, tasks, policy, pulls):
    async def story():
        topic, seen = await nats.topic(partitions=LANES), []
        async with nats.broker() as broker:
            await publish(nats, broker, topic, range(EVENTS))
            joined = broker.subscribe(topic, group="g", policy=policy)
            async with joined as session, working(session, tasks, seen):
                await until(lambda: len(seen) == EVENTS)
        assert sorted(seen) == list(range(EVENTS))

    asyncio.run(story())
    (batches,) = asked.values()
    if pulls is None:
        assert set(batches) == {1}
        assert len(batches) >= EVENTS
    else:
        assert set(batches) == {pull.STANDING}
        assert len(batches) <= pulls


def test_one_task_on_many_lanes_asks_for_each(nats, asked):
    async def story():
        topic, seen = await nats.topic(partitions=8), []
        async with nats.broker() as broker:
            await publish(nats, broker, topic, range(40))
            async with broker.subscribe(topic, group="g") as session, working(session, 1, seen):
                await until(lambda: len(seen) == 40)

    asyncio.run(story())
    assert [set(batches) for batches in asked.values()] == [{1}]


def test_who_stops_taking_gives_back_what_its_pulls_still_bring(nats, asked):
    """Each message that comes to it would else wait for a review, and the whole lane behind it."""

    async def story():
        topic, first, rest = await nats.topic(partitions=LANES), [], []
        async with (
            nats.broker() as one,
            nats.broker() as two,
            one.subscribe(topic, group="g") as stops,
            two.subscribe(topic, group="g") as goes_on,
        ):
            async with working(stops, LANES, first):
                await publish(nats, one, topic, range(4))
                await until(lambda: len(first) == 4)
            async with working(goes_on, LANES, rest):
                start = asyncio.get_running_loop().time()
                await publish(nats, one, topic, range(4, 4 + EVENTS))
                await until(lambda: len(rest) == EVENTS)
                assert asyncio.get_running_loop().time() - start < 2.0
        assert sorted(first + rest) == list(range(4 + EVENTS))

    asyncio.run(story())
    assert all(set(batches) == {pull.STANDING} for batches in asked.values())
