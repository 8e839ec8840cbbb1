"""A kill or a stop of the memory broker: what it keeps, what it ends, and which calls it leaves in doubt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import Rejected
from eventproof.adapters.memory import MemoryBroker
from eventproof.adapters.memory.broker import MemorySubscription
from eventproof.adapters.memory.claims import claims
from eventproof.adapters.memory.state import Options
from eventproof.adapters.policy import Policy
from tests.adapters.memory.world import (
    HELD,
    NO_DELAY,
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

# what a kill keeps


@virtual
async def test_mem_010_a_kill_keeps_copies_and_settlements() -> None:
    async with memory() as broker:
        async with broker.subscribe("orders", group="a", policy=NO_DELAY) as subscription:
            await publish(broker, *range(6))
            held = await take_all(subscription)
            for delivery in held[:3]:
                await delivery.ack()
            await killed_for(5)
        assert stored() == [str(number) for number in range(6)]
        async with broker.subscribe("orders", group="a", policy=NO_DELAY) as again:
            given = await take_all(again)
            assert [(one.event.id, one.attempt) for one in given] == [("3", 2), ("4", 2), ("5", 2)]
        async with broker.subscribe("orders", group="new") as fresh:
            assert len(await acked(fresh)) == 6


@virtual
async def test_mem_010_a_kill_keeps_the_counts_of_hand_outs() -> None:
    policy = Policy(backoff=())
    async with memory() as broker:
        await publish(broker, 1)
        for attempt in (1, 3):
            async with broker.subscribe("orders", group="a", policy=policy) as subscription:
                first = await take(subscription)
                assert first.attempt == attempt
                await first.nack()
                assert (await take(subscription)).attempt == attempt + 1
                await killed_for(1)


@pytest.mark.parametrize("down", [5, 100])
def test_mem_010_a_kill_keeps_delays(down: float) -> None:
    @virtual
    async def check() -> None:
        async with memory() as broker:
            await publish(broker, 1, 2, key="k")
            async with broker.subscribe("orders", group="a") as subscription:
                await (await take(subscription)).nack(delay=60)
                await killed_for(down)
            async with broker.subscribe("orders", group="a") as again:
                given = await take(again)
                assert (given.event.id, given.attempt) == ("1", 2)
                assert at() == pytest.approx(max(60, down))

    check()


@virtual
async def test_mem_010_a_kill_keeps_identities_and_the_window_goes_on() -> None:
    async with memory(window=50) as broker:
        first = await broker.publish("orders", event(1))
        await killed_for(40)
        again = await broker.publish("orders", event(1))
        assert (again.position, again.duplicate) == (first.position, True)
        await killed_for(11)
        assert (await broker.publish("orders", event(1))).duplicate is False


@virtual
async def test_mem_010_a_kill_keeps_what_was_settled_under_an_identity() -> None:
    async with memory(dedup="consume") as broker:
        await publish(broker, 1)
        async with broker.subscribe("orders", group="a") as subscription:
            assert await acked(subscription) == ["1"]
            await killed_for(1)
        await publish(broker, 1)
        async with broker.subscribe("orders", group="a") as again:
            await nothing(again)


@virtual
async def test_mem_010_a_kill_keeps_groups_with_their_start_and_policy() -> None:
    policy = Policy(start="latest", max_in_flight=3)
    async with memory() as broker:
        await publish(broker, 1)
        async with broker.subscribe("orders", group="a", policy=policy):
            await killed_for(1)
        await publish(broker, 2)
        with pytest.raises(Rejected):
            async with broker.subscribe("orders", group="a"):
                pass
        async with broker.subscribe("orders", group="a", policy=policy) as again:
            assert await acked(again) == ["2"]


# what it ends


@virtual
async def test_mem_011_a_kill_ends_every_session_at_once_and_from_then_on() -> None:
    async with memory() as broker, memory() as other:
        one, two = broker.subscribe("orders", group="a"), other.subscribe("orders", group="b")
        async with one as first, two as second:
            waits = [asyncio.ensure_future(outcome(member.__anext__())) for member in (first, second)]
            await asyncio.sleep(1)
            engine().kill()
            assert await asyncio.gather(*waits) == ["SessionLost"] * 2
            assert at() == 1
            engine().revive()
            await publish(broker, 1)
            assert await outcome(take(first)) == "SessionLost"
        async with broker.subscribe("orders", group="a") as again:
            assert await acked(again) == ["1"]


@virtual
async def test_mem_011_what_was_held_at_a_kill_is_due_when_the_broker_is_back() -> None:
    async with memory() as broker:
        async with broker.subscribe("orders", group="a", policy=HELD) as subscription:
            await publish(broker, *range(3))
            held = await take_all(subscription)
            lost = [asyncio.ensure_future(_wait(delivery)) for delivery in held]
            await asyncio.sleep(3)
            engine().kill()
            await asyncio.gather(*lost)
            assert at() == pytest.approx(3.01)
            assert await outcome(held[0].ack()) == "LeaseExpired"
            engine().revive()
        async with broker.subscribe("orders", group="a", policy=HELD) as again:
            given = await take_all(again)
            assert [(one.event.id, one.attempt) for one in given] == [("0", 2), ("1", 2), ("2", 2)]
            assert stored("dead") == []
            engine().kill()
            assert stored("dead") == []
            engine().revive()
            assert stored("dead") == ["0", "1", "2"]


async def _wait(delivery: LeasedDelivery) -> None:
    await delivery.lost


@virtual
async def test_mem_011_a_kill_keeps_the_order_of_a_key() -> None:
    async with memory() as broker:
        await publish(broker, 1, 2, 3, key="k")
        async with broker.subscribe("orders", group="a", policy=NO_DELAY) as subscription:
            await take(subscription)
            await killed_for(1)
        async with broker.subscribe("orders", group="a", policy=NO_DELAY) as again:
            assert await acked(again) == ["1", "2", "3"]


@virtual
async def test_a_broker_that_is_down_cannot_be_killed_again_and_a_dead_one_does_not_thaw() -> None:
    async with memory() as broker:
        engine().kill()
        waiting = await on_their_way(broker.publish("orders", event(1)))
        engine().kill()
        engine().stop()
        engine().thaw()
        assert not engine().serves
        assert stored() == []
        engine().revive()
        assert await waiting[0] == ""


# calls in flight


@virtual
async def test_mem_012_a_publish_in_flight_at_a_kill_is_in_doubt() -> None:
    async with memory(max_payload=1000) as broker, broker.subscribe("orders", group="a"):
        calls = [broker.publish("orders", event(number)) for number in range(100)]
        invoked = await on_their_way(*calls, broker.publish("orders", event("large", data="x" * 1000)))
        engine().kill()
        assert set(await asyncio.gather(*invoked)) == {"Indeterminate"}
        engine().revive()
        arrived = [str(number) for number in range(100) if arrives("publish", number)]
        assert stored() == arrived
        assert 30 < len(arrived) < 70
        repeats = [await broker.publish("orders", event(number)) for number in range(100)]
        assert [str(n) for n, receipt in enumerate(repeats) if receipt.duplicate] == arrived


@pytest.mark.parametrize("verb", SETTLING)
def test_mem_012_a_settlement_in_flight_at_a_kill_is_in_doubt(verb: str) -> None:
    @virtual
    async def check() -> None:
        policy = Policy(backoff=(), ack_timeout=20.0, dead_letter="dead")
        async with memory() as broker:
            await publish(broker, *range(20))
            async with broker.subscribe("orders", group="a", policy=policy) as subscription:
                held = await take_all(subscription)
                invoked = await on_their_way(*(SETTLING[verb](delivery) for delivery in held))
                engine().kill()
                assert set(await asyncio.gather(*invoked)) == {"Indeterminate"}
                assert await outcome(held[0].nack()) in {"AlreadySettled", "LeaseExpired"}
                assert all(delivery.lost for delivery in held)
            engine().revive()
            done = [str(number) for number in range(20) if arrives(verb, number)]
            rest = [str(number) for number in range(20) if not arrives(verb, number)]
            everything = ids(held)
            async with broker.subscribe("orders", group="a", policy=policy) as again:
                at_once = {"ack": rest, "nack": rest, "reject": rest, "extend": everything}[verb]
                assert await acked(again) == at_once
                await asyncio.sleep(7)
                assert sorted(await acked(again), key=int) == (done if verb == "nack" else [])
            assert stored("dead") == (done if verb == "reject" else [])

    check()


@virtual
async def test_mem_012_a_subscribe_in_flight_at_a_kill_is_in_doubt() -> None:
    async with memory() as broker:
        names = [f"g{number}" for number in range(10)]
        invoked = await on_their_way(*(enter(broker, name) for name in names))
        engine().kill()
        assert set(await asyncio.gather(*invoked)) == {"Indeterminate"}
        assert list(engine().topic("orders").groups) == [n for n in names if arrives("subscribe", n)]
        assert not engine().sessions


# an orderly stop


@virtual
async def test_mem_016_a_stop_answers_the_calls_in_flight() -> None:
    async with memory(max_payload=1000) as broker:
        await publish(broker, *range(4))
        async with broker.subscribe("orders", group="a", policy=NO_DELAY) as subscription:
            held = await take_all(subscription)
            acts = [held[0].ack(), held[1].nack(delay=5), held[2].reject("no"), held[3].extend()]
            more = [broker.publish("orders", event(n, data="x" * n)) for n in (4, 1000)]
            invoked = await on_their_way(*acts, *more, _wait_for_next(broker))
            engine().stop()
            answers = await asyncio.gather(*invoked)
            assert answers == ["", "", "Rejected", "", "", "Rejected", "SessionLost"]
            assert await outcome(take(subscription)) == "SessionLost"
            assert await outcome(held[3].ack()) == "LeaseExpired"
            await asyncio.sleep(1)
            engine().revive()
        assert stored() == ["0", "1", "2", "3", "4"]
        async with broker.subscribe("orders", group="a", policy=NO_DELAY) as again:
            assert [(one.event.id, one.attempt) for one in await take_all(again)] == [
                ("4", 1),
                ("2", 2),
                ("3", 2),
            ]
            assert (await take(again)).event.id == "1"
            assert at() == pytest.approx(5.01)


async def _wait_for_next(broker: MemoryBroker) -> None:
    async with broker.subscribe("orders", group="b") as subscription:
        await _next(subscription)


async def _next(subscription: MemorySubscription) -> LeasedDelivery:
    return await subscription.__anext__()


@virtual
async def test_mem_016_a_frozen_broker_that_is_stopped_answers_what_waits() -> None:
    async with memory() as broker:
        engine().freeze()
        invoked = await on_their_way(broker.publish("orders", event(1)))
        await asyncio.sleep(5)
        engine().stop()
        assert await invoked[0] == ""
        assert stored() == ["1"]


# claims


@pytest.mark.parametrize("delivery", ["at-least-once", "at-most-once"])
@pytest.mark.parametrize("dedup", ["publish", "consume", "none"])
def test_it_claims_to_survive_what_it_keeps(delivery: str, dedup: str) -> None:
    options: Any = {"delivery": delivery, "dedup": dedup}
    found = claims(Options(**options)).survives
    sure, both = delivery == "at-least-once", ("consumer-loss", "broker-kill")
    assert {found.messages, found.acks, found.attempts, found.delays} == {both if sure else ()}
    assert found.dedup == (both if dedup == "publish" or (dedup == "consume" and sure) else ())


@virtual
async def test_dlv_007_at_most_once_holds_over_a_kill() -> None:
    async with memory(delivery="at-most-once") as broker:
        await publish(broker, 1, 2, 3)
        async with broker.subscribe("orders", group="a") as subscription:
            held = await take(subscription)
            await killed_for(1)
            await held.ack()
        async with broker.subscribe("orders", group="a") as again:
            assert await acked(again) == ["2", "3"]
