"""Calls, leases and delays while the memory broker does not serve: it is down, or frozen."""

from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.memory import MemoryBroker
from tests.adapters.memory.world import (
    HELD,
    arrives,
    engine,
    enter,
    event,
    memory,
    nothing,
    on_their_way,
    outcome,
    publish,
    stored,
    take,
)
from tests.adapters.virtual import at, virtual

# calls to a broker that does not serve


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_mem_013_a_call_waits_until_the_broker_serves(fault: str) -> None:
    @virtual
    async def check() -> None:
        async with memory() as broker:
            getattr(engine(), fault)()
            invoked = await on_their_way(broker.publish("orders", event(1)), enter(broker, "a"))
            await asyncio.sleep(29)
            assert stored() == []
            engine().revive()
            assert await asyncio.gather(*invoked) == ["", ""]
            assert at() == 29
            assert stored() == ["1"]

    check()


@virtual
async def test_mem_013_a_call_gives_up_at_a_broker_that_stays_down() -> None:
    async with memory() as broker:
        engine().kill()
        invoked = await on_their_way(*(broker.publish("orders", event(n)) for n in range(10)))
        assert set(await asyncio.gather(*invoked)) == {"Indeterminate"}
        assert at() == pytest.approx(30)
        engine().revive()
        await asyncio.sleep(1)
        assert stored() == []


@virtual
async def test_mem_013_what_was_given_up_at_a_frozen_broker_is_done_at_the_thaw_or_never() -> None:
    async with memory() as broker:
        engine().freeze()
        invoked = await on_their_way(*(broker.publish("orders", event(n)) for n in range(10)))
        assert set(await asyncio.gather(*invoked)) == {"Indeterminate"}
        assert stored() == []
        engine().thaw()
        assert stored() == [str(n) for n in range(10) if arrives("publish", n)]


@virtual
async def test_mem_013_a_kill_takes_what_a_frozen_broker_had_not_read() -> None:
    async with memory() as broker:
        engine().freeze()
        early = await on_their_way(*(broker.publish("orders", event(n)) for n in range(10)))
        await asyncio.sleep(31)
        late = await on_their_way(*(broker.publish("orders", event(n)) for n in range(10, 20)))
        engine().kill()
        assert set(await asyncio.gather(*early, *late)) == {"Indeterminate"}
        engine().revive()
        await asyncio.sleep(1)
        assert stored() == []


@pytest.mark.parametrize("fault", ["kill", "freeze"])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_mem_013_calls_keep_their_order_across_the_return(fault: str, turns: int) -> None:
    """Calls that overlap the fault's begin, others that wait, and others that are invoked as it ends."""

    @virtual
    async def check() -> None:
        number, invoked = 0, []

        def invoke() -> None:
            nonlocal number
            invoked.append(asyncio.ensure_future(outcome(broker.publish("orders", event(number, "k")))))
            number += 1

        async with memory() as broker:
            for moment in range(12):
                invoke()
                if moment == 3:
                    getattr(engine(), fault)()
                invoke()
                for _ in range(turns):
                    await asyncio.sleep(0)
                if moment == 8:
                    invoke()
                    engine().revive()
                    invoke()
            told = await asyncio.gather(*invoked)
        confirmed = [str(n) for n, one in enumerate(told) if one == ""]
        assert [name for name in stored_by(broker) if name in confirmed] == confirmed
        assert stored_by(broker) == sorted(stored_by(broker), key=int)
        assert len(confirmed) == number if fault == "freeze" else len(confirmed) > 10

    check()


def stored_by(broker: MemoryBroker) -> list[str]:
    """Also after the last connection was closed."""
    return [copy.event.id for copy in broker._engine.topic("orders").log]


@virtual
async def test_mem_013_a_freeze_right_after_a_thaw_holds_the_calls_back_again() -> None:
    async with memory() as broker:
        engine().freeze()
        invoked = await on_their_way(*(broker.publish("orders", event(n)) for n in range(5)))
        engine().thaw()
        engine().freeze()
        await asyncio.sleep(5)
        assert stored() == []
        engine().thaw()
        assert await asyncio.gather(*invoked) == [""] * 5
        assert stored() == [str(n) for n in range(5)]


# a frozen broker


@virtual
async def test_mem_014_a_frozen_broker_hands_nothing_out_and_goes_on_at_the_thaw() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        waiting = asyncio.ensure_future(take(subscription))
        await asyncio.sleep(1)
        await publish(broker, 1, 2)
        assert (await waiting).event.id == "1"
        engine().freeze()
        waiting = asyncio.ensure_future(take(subscription))
        await asyncio.sleep(500)  # longer than any call waits
        assert not waiting.done()
        engine().thaw()
        assert (await waiting).event.id == "2"


@virtual
async def test_mem_014_a_lease_that_ends_in_a_freeze_is_over_at_the_thaw() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=HELD) as subscription:
        await publish(broker, 1)
        held = await take(subscription)
        await asyncio.sleep(10)
        engine().freeze()
        acking = await on_their_way(held.ack())
        await asyncio.sleep(15)
        assert not acking[0].done()
        engine().thaw()
        assert await acking[0] == "LeaseExpired"
        assert (await take(subscription)).attempt == 2
        assert at() == 25


@virtual
async def test_mem_014_an_ack_that_waits_is_in_time_if_the_lease_is() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=HELD) as subscription:
        await publish(broker, 1)
        held = await take(subscription)
        engine().freeze()
        acking = await on_their_way(held.ack())
        await asyncio.sleep(15)
        engine().thaw()
        assert await acking[0] == ""
        await nothing(subscription, during=100)


@pytest.mark.parametrize("frozen", [30, 90])
def test_mem_014_a_freeze_prolongs_no_delay(frozen: float) -> None:
    @virtual
    async def check() -> None:
        async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
            await publish(broker, 1)
            await (await take(subscription)).nack(delay=60)
            engine().freeze()
            await asyncio.sleep(frozen)
            engine().thaw()
            assert (await take(subscription)).attempt == 2
            assert at() == pytest.approx(max(frozen, 60))

    check()


@virtual
async def test_a_topic_that_is_removed_in_a_freeze_stays_removed() -> None:
    async with memory() as broker:
        await publish(broker, 1)
        async with broker.subscribe("orders", group="a", policy=HELD) as subscription:
            await (await take(subscription)).nack(delay=0)
            await take(subscription)
            engine().freeze()
            await asyncio.sleep(30)
            engine().remove("orders")
            engine().thaw()
        assert engine().topics == {}
