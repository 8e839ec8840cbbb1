from __future__ import annotations

import asyncio

from eventproof.adapters.nats import pull
from eventproof.adapters.policy import Policy

LANES = 16


async def key_of_a_late_lane(nats, broker):
    """A key whose partition is asked among the last."""
    topic = await nats.topic(partitions=LANES)
    for n in range(LANES):
        await broker.publish(topic, nats.event(n, f"k{n}"))
    lanes = {}
    async with broker.subscribe(topic, group="g") as session:
        for _ in range(LANES):
            delivery = await nats.next(session)
            lanes[delivery.partition] = delivery.event.key
            await delivery.ack()
    assert max(lanes) >= LANES // 2
    return lanes[max(lanes)]


def test_empty_lanes_do_not_hold_up_many_tasks_that_wait(nats, monkeypatch):
    """As many lanes are asked at once as tasks wait, though no pull is ever taken for quiet."""

    async def story():
        async with nats.broker() as broker:
            key = await key_of_a_late_lane(nats, broker)
            topic = await nats.topic(partitions=LANES)
            await broker.publish(topic, nats.event(1, key))
            monkeypatch.setattr(pull, "QUIET", 60.0)
            async with broker.subscribe(topic, group="g") as session:
                waiting = [asyncio.ensure_future(nats.next(session)) for _ in range(LANES)]
                done, rest = await asyncio.wait(waiting, timeout=2, return_when=asyncio.FIRST_COMPLETED)
                assert [task.result().event.key for task in done] == [key]
                await done.pop().result().ack()
                for task in rest:
                    task.cancel()
                await asyncio.wait(rest)

    asyncio.run(story())


def test_flw_001_many_tasks_that_wait_get_no_more_than_may_be_in_flight(nats):
    async def story():
        topic, other = await nats.topic(partitions=LANES), await nats.topic()
        async with nats.broker() as broker:
            for n in range(4 * LANES):
                await broker.publish(topic, nats.event(n))
            held, most, acked, done = 0, 0, 0, asyncio.Event()
            async with broker.subscribe(topic, group="g", policy=Policy(max_in_flight=5)) as session:

                async def work():
                    nonlocal held, most, acked
                    while True:
                        delivery = await session.__anext__()
                        held, most = held + 1, max(most, held + 1)
                        await broker.publish(other, delivery.event)  # a round trip's work
                        held -= 1
                        await delivery.ack()
                        acked += 1
                        if acked == 4 * LANES:
                            done.set()

                workers = [asyncio.ensure_future(work()) for _ in range(LANES)]
                await asyncio.wait_for(done.wait(), 5)
                for worker in workers:
                    worker.cancel()
                await asyncio.wait(workers)
            assert most == 5

    asyncio.run(story())
