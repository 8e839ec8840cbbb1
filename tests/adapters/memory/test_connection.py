"""Connections: where they meet, what closing them does, and options."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from eventproof.adapters.claims import Claims
from eventproof.adapters.errors import EventproofError, LeaseExpired, Rejected, SessionLost
from eventproof.adapters.memory import connect, engine_at
from tests.adapters.memory.world import NO_DELAY, URL, event, memory, nothing, publish, take
from tests.adapters.virtual import at, run, virtual


@virtual
async def test_a_broker_lives_until_its_last_connection_is_closed() -> None:
    async with memory() as one:
        await publish(one, 1)
        async with memory() as other, other.subscribe("orders", group="a") as subscription:
            assert (await take(subscription)).event.id == "1"
        await publish(one, 2)
        assert len(engine_at(URL).topic("orders").log) == 2
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        await nothing(subscription)


@virtual
async def test_brokers_under_two_urls_know_nothing_of_each_other() -> None:
    async with (
        memory() as one,
        connect("memory://other") as other,
        other.subscribe("orders", group="a") as subscription,
    ):
        await publish(one, 1)
        await nothing(subscription)


@virtual
async def test_brokers_of_two_event_loops_know_nothing_of_each_other() -> None:
    async def elsewhere() -> int:
        async with memory() as other:
            await publish(other, 2)
            return len(engine_at(URL).topic("orders").log)

    async with memory() as broker:
        await publish(broker, 1)
        assert await asyncio.get_running_loop().run_in_executor(None, run, elsewhere()) == 1


@virtual
async def test_the_first_connection_configures_the_broker() -> None:
    async with memory(dedup="none") as first, memory(dedup="consume") as second:
        assert first.claims == second.claims
        assert first.claims.consume_dedup.scope == "none"


@virtual
async def test_adp_008_closing_a_connection_leaves_its_groups() -> None:
    async with AsyncExitStack() as late, memory() as staying:
        await publish(staying, 1)
        other = await late.enter_async_context(staying.subscribe("orders", group="a", policy=NO_DELAY))
        async with memory() as closing:
            subscription = closing.subscribe("orders", group="a", policy=NO_DELAY)
            left = await late.enter_async_context(subscription)
            held = await take(left)
        assert ((await take(other)).attempt, at()) == (2, 0)
        with pytest.raises(LeaseExpired):
            await held.ack()
        with pytest.raises(SessionLost):
            await take(left)


@virtual
async def test_adp_002_closing_ends_the_wait_for_the_next_delivery() -> None:
    async with AsyncExitStack() as late:
        async with memory() as closing:
            subscription = await late.enter_async_context(closing.subscribe("orders", group="a"))
            waiting = asyncio.ensure_future(subscription.__anext__())
            await asyncio.sleep(1)
        with pytest.raises(SessionLost):
            await asyncio.wait_for(waiting, 1)


@virtual
async def test_a_session_that_was_left_hands_out_nothing() -> None:
    async with memory() as broker:
        async with broker.subscribe("orders", group="a") as subscription:
            pass
        await publish(broker, 1)
        with pytest.raises(SessionLost):
            await take(subscription)
        async with broker.subscribe("orders", group="a") as again:
            assert (await take(again)).attempt == 1


@virtual
async def test_pub_002_a_closed_connection_refuses_and_stores_nothing() -> None:
    async with memory():
        async with memory() as closed:
            pass
        with pytest.raises(Rejected) as refusal:
            await closed.publish("orders", event(1))
        assert refusal.value.kind == "closed"
        with pytest.raises(Rejected):
            async with closed.subscribe("orders", group="a"):
                pass
        assert engine_at(URL).topics == {}


@pytest.mark.parametrize(
    "options",
    [
        {"lane": "shard"},
        {"delivery": "exactly-once"},
        {"dedup": True},
        {"partitions": 0},
        {"partitions": "4"},
        {"window": -1},
        {"window": float("nan")},
        {"max_payload": 0},
        {"colour": "red"},
    ],
)
def test_adp_001_an_option_that_makes_no_sense_is_refused_in_one_line(options: dict[str, object]) -> None:
    @virtual
    async def check() -> None:
        with pytest.raises(EventproofError) as refusal:
            async with memory(**options):
                pass
        assert next(iter(options)) in str(refusal.value)
        assert "\n" not in str(refusal.value)
        with pytest.raises(KeyError):
            engine_at(URL)

    check()


@pytest.mark.parametrize("lane", ["key", "partition", "topic", "event"])
@pytest.mark.parametrize("delivery", ["at-least-once", "at-most-once"])
@pytest.mark.parametrize("dedup", ["publish", "consume", "none"])
def test_each_configuration_claims_what_it_can_mean(lane: str, delivery: str, dedup: str) -> None:
    @virtual
    async def check() -> None:
        async with memory(lane=lane, delivery=delivery, dedup=dedup, window=9) as broker:
            claims = broker.claims
        sure = delivery == "at-least-once"
        assert isinstance(claims, Claims)
        assert (claims.loss == "never") == sure
        assert (claims.duplicates == "permitted") == sure
        assert (claims.ordering.strictness == "settled") == (sure and lane != "event")
        assert (claims.ordering.scope == "topic") == (sure and lane == "topic")
        assert (claims.publish_dedup.window == 9) == (dedup == "publish")
        assert (claims.consume_dedup.window == 9) == (dedup == "consume" and sure)

    check()
