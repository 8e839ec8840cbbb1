"""A participant of the memory broker is gone without a word."""

from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.policy import Policy
from tests.adapters.memory.world import (
    HELD,
    SETTLING,
    acked,
    arrives,
    engine,
    enter,
    event,
    ids,
    killed_for,
    memory,
    nothing,
    on_their_way,
    outcome,
    publish,
    stored,
    take,
    take_all,
)
from tests.adapters.virtual import at, virtual

# a participant that is gone


@virtual
async def test_mem_015_what_a_severed_member_holds_waits_for_its_lease() -> None:
    async with memory() as staying, memory() as gone:
        entering = gone.subscribe("orders", group="a", policy=HELD)
        subscription = await entering.__aenter__()
        await publish(staying, 1, 2, key="k")
        await publish(staying, 3, key="l")
        held = await take_all(subscription)
        assert ids(held) == ["1", "3"]
        await asyncio.sleep(5)
        await held[1].extend()
        gone.sever()
        async with staying.subscribe("orders", group="a", policy=HELD) as other:
            await nothing(other, during=14.9)
            await entering.__aexit__(None, None, None)
            gone.close()
            given = [await take(other), await take(other)]
            assert [(one.event.id, one.attempt) for one in given] == [("1", 2), ("3", 2)]
            assert at() == pytest.approx(25.01)
            assert all(delivery.lost for delivery in held)


@virtual
async def test_mem_015_a_severed_member_hears_nothing_more() -> None:
    async with memory() as staying, memory() as gone:
        async with gone.subscribe("orders", group="a", policy=HELD) as subscription:
            waiting = asyncio.ensure_future(subscription.__anext__())
            await asyncio.sleep(1)
            gone.sever()
            later = asyncio.ensure_future(subscription.__anext__())
            await publish(staying, 1)
            await asyncio.sleep(1000)
            for wait in (waiting, later):
                assert not wait.done()
                wait.cancel()
            await asyncio.gather(waiting, later, return_exceptions=True)
            assert await outcome(gone.publish("orders", event(2))) == "Indeterminate"
            assert await outcome(enter(gone, "b")) == "Indeterminate"
        async with staying.subscribe("orders", group="a", policy=HELD) as other:
            given = await take_all(other)
            assert [(one.event.id, one.attempt) for one in given] == [("1", 1)]
        assert list(engine().topic("orders").groups) == ["a"]


@pytest.mark.parametrize("verb", [*SETTLING, "publish"])
def test_mem_015_a_call_in_flight_of_a_severed_member_is_in_doubt(verb: str) -> None:
    @virtual
    async def check() -> None:
        policy = Policy(backoff=(), ack_timeout=20.0, dead_letter="dead")
        async with memory() as staying, memory() as gone:
            await publish(staying, *range(10))
            async with gone.subscribe("orders", group="a", policy=policy) as subscription:
                held = await take_all(subscription)
                act = SETTLING.get(verb) or (lambda one: gone.publish("others", one.event))
                invoked = await on_their_way(*(act(delivery) for delivery in held))
                gone.sever()
                assert set(await asyncio.gather(*invoked)) == {"Indeterminate"}
                assert await outcome(held[0].extend()) in {"AlreadySettled", "Indeterminate"}
            done = [str(number) for number in range(10) if arrives(verb, number)]
            rest = [str(number) for number in range(10) if not arrives(verb, number)]
            assert stored("others") == (done if verb == "publish" else [])
            assert stored("dead") == (done if verb == "reject" else [])
            async with staying.subscribe("orders", group="a", policy=policy) as other:
                await asyncio.sleep(15)
                assert sorted(await acked(other)) == (done if verb == "nack" else [])
                await asyncio.sleep(6)
                settled = verb in {"ack", "nack", "reject"}
                assert sorted(await acked(other)) == (rest if settled else ids(held))

    check()


@virtual
async def test_mem_015_a_kill_also_ends_what_a_severed_member_holds() -> None:
    async with memory() as staying, memory() as gone:
        await publish(staying, 1)
        async with gone.subscribe("orders", group="a", policy=HELD) as subscription:
            await take(subscription)
            gone.sever()
            await killed_for(1)
        async with staying.subscribe("orders", group="a", policy=HELD) as other:
            assert (await take(other)).attempt == 2
            assert at() == 1
