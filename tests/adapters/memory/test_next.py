"""Waiting for the next delivery: who is woken, and that a cancelled wait loses nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from eventproof.adapters.errors import SessionLost
from eventproof.adapters.memory import engine_at
from eventproof.adapters.policy import Policy
from tests.adapters.memory.world import URL, acked, event, memory, nothing, publish, take
from tests.adapters.virtual import at, virtual

ONE = Policy(max_in_flight=1)


def store(number: int) -> None:
    """An event that is there in this very step of the loop."""
    engine = engine_at(URL)
    engine.publish(engine.topic("orders"), event(number))


@virtual
async def test_adp_006_a_cancelled_wait_loses_nothing() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        for number in range(3):
            await nothing(subscription)
            await publish(broker, number)
            assert (await take(subscription)).event.id == str(number)


@virtual
async def test_adp_006_woken_and_cancelled_in_one_step_loses_nothing() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        waiting = asyncio.ensure_future(subscription.__anext__())
        await asyncio.sleep(1)
        store(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        delivery = await take(subscription)
        assert (delivery.event.id, delivery.attempt) == ("1", 1)


@virtual
async def test_adp_006_who_is_cancelled_when_woken_wakes_another() -> None:
    async with memory() as broker:
        one, two = broker.subscribe("orders", group="a"), broker.subscribe("orders", group="a")
        async with one as first, two as second:
            waits = [asyncio.ensure_future(member.__anext__()) for member in (first, second)]
            await asyncio.sleep(1)
            store(1)  # wakes the first
            waits[0].cancel()
            assert (await asyncio.wait_for(waits[1], 20)).event.id == "1"
            assert at() == 1


@virtual
async def test_who_leaves_when_woken_wakes_another() -> None:
    async with AsyncExitStack() as late, memory() as broker, broker.subscribe("orders", group="a") as staying:
        async with memory() as closing:
            leaving = await late.enter_async_context(closing.subscribe("orders", group="a"))
            first = asyncio.ensure_future(leaving.__anext__())
            await asyncio.sleep(1)
            second = asyncio.ensure_future(take(staying))
            await asyncio.sleep(1)
            store(1)  # wakes the first
        assert (await second).event.id == "1"
        assert at() == 2
        with pytest.raises(SessionLost):
            await first


@virtual
async def test_who_waits_longest_is_served_first() -> None:
    async with memory() as broker:
        one, two = broker.subscribe("orders", group="a"), broker.subscribe("orders", group="a")
        async with one as first, two as second:
            waits = []
            for member in (second, first):
                waits.append(asyncio.ensure_future(take(member)))
                await asyncio.sleep(1)
            await publish(broker, 1, 2)
            assert [(await wait).event.id for wait in waits] == ["1", "2"]


@virtual
async def test_several_tasks_may_wait_in_one_session() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        waits = [asyncio.ensure_future(take(subscription)) for _ in range(3)]
        await asyncio.sleep(1)
        await publish(broker, 1, 2, 3)
        assert [(await wait).event.id for wait in waits] == ["1", "2", "3"]


@virtual
async def test_a_task_that_finds_its_session_full_wakes_another_member() -> None:
    async with memory() as broker:
        one = broker.subscribe("orders", group="a", policy=ONE)
        two = broker.subscribe("orders", group="a", policy=ONE)
        async with one as first, two as second:
            both = [asyncio.ensure_future(take(first, 20)) for _ in range(2)]
            await asyncio.sleep(1)
            other = asyncio.ensure_future(take(second))
            await asyncio.sleep(1)
            store(1)  # wakes one task of the first session
            store(2)  # and the other one, while there is room
            assert (await both[0]).event.id == "1"
            assert (await other).event.id == "2"
            assert at() == 2
            both[1].cancel()


@virtual
async def test_one_full_member_among_many_stalls_nobody() -> None:
    async with memory() as broker:
        one = broker.subscribe("orders", group="a", policy=ONE)
        two = broker.subscribe("orders", group="a", policy=ONE)
        async with one as full, two as free:
            await publish(broker, 0)
            await take(full)
            stuck = asyncio.ensure_future(take(full, 20))
            working = asyncio.ensure_future(acked(free))
            await publish(broker, *range(1, 50))
            assert len(await working) == 49
            assert at() < 1
            stuck.cancel()


@virtual
async def test_an_iteration_is_endless() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        await publish(broker, *range(5))
        seen = []
        async for delivery in subscription:
            async with delivery as given:
                seen.append(given.id)
            if len(seen) == 5:
                break
        await publish(broker, 5)
        assert await acked(subscription) == ["5"]
        assert seen == ["0", "1", "2", "3", "4"]
