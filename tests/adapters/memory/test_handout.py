"""Who is given what: groups, sessions, lanes, partitions, filters, the start, the bound in flight."""

from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import Rejected
from eventproof.adapters.memory import engine_at
from eventproof.adapters.policy import Policy
from tests.adapters.memory.world import (
    NO_DELAY,
    URL,
    acked,
    event,
    ids,
    memory,
    nothing,
    publish,
    take,
    take_all,
)
from tests.adapters.virtual import virtual


@virtual
async def test_grp_001_each_group_gets_every_event() -> None:
    async with (
        memory() as broker,
        broker.subscribe("orders", group="a") as a,
        broker.subscribe("orders", group="b") as b,
    ):
        await publish(broker, 1, 2, 3)
        assert await acked(a) == await acked(b) == ["1", "2", "3"]


@virtual
async def test_members_of_a_group_share_its_events() -> None:
    async with memory() as broker:
        one, two = broker.subscribe("orders", group="a"), broker.subscribe("orders", group="a")
        async with one as first, two as second:
            await publish(broker, *range(10))
            given = [await take(member) for member in (first, second) * 5]
            assert sorted(ids(given)) == [str(number) for number in range(10)]
            await nothing(first)


@virtual
async def test_connections_under_one_url_meet() -> None:
    async with memory() as one, memory() as other, other.subscribe("orders", group="a") as subscription:
        sent = event(1, "k")
        await one.publish("orders", sent)
        assert (await take(subscription)).event == sent


@virtual
async def test_dur_002_a_group_starts_at_the_earliest_event() -> None:
    async with memory() as broker:
        await publish(broker, 1, 2)
        async with broker.subscribe("orders", group="late") as subscription:
            assert await acked(subscription) == ["1", "2"]


@virtual
async def test_dur_001_a_group_may_start_at_the_latest() -> None:
    async with memory() as broker:
        await publish(broker, 1)
        policy = Policy(start="latest")
        async with broker.subscribe("orders", group="a", policy=policy):
            await publish(broker, 2)
        await publish(broker, 3)
        async with broker.subscribe("orders", group="a", policy=policy) as again:
            assert await acked(again) == ["2", "3"]  # its start was fixed when it was made


@virtual
async def test_a_group_outlives_its_sessions_and_continues() -> None:
    async with memory() as broker:
        async with broker.subscribe("orders", group="a") as first:
            await publish(broker, 1)
            assert await acked(first) == ["1"]
        await publish(broker, 2)
        async with broker.subscribe("orders", group="a") as second:
            assert await acked(second) == ["2"]


@virtual
async def test_dlv_002_a_group_gets_the_types_that_it_wants() -> None:
    async with memory() as broker:
        policy = Policy(types=("shop.order.*", "shop.user.registered"))
        async with broker.subscribe("orders", group="a", policy=policy) as subscription:
            for number, kind in enumerate(["order.paid", "orders.paid", "user.registered", "user.left"]):
                await broker.publish("orders", event(number, "k", type=f"shop.{kind}"))
            assert await acked(subscription) == ["0", "2"]


@virtual
async def test_grp_002_a_group_has_one_policy() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a"):
        with pytest.raises(Rejected) as refusal:
            async with broker.subscribe("orders", group="a", policy=Policy(max_in_flight=1)):
                pass
        assert refusal.value.kind == "conflict"
        async with broker.subscribe("orders", group="b", policy=Policy(max_in_flight=1)):
            pass


@virtual
async def test_flw_001_a_session_holds_no_more_than_its_bound() -> None:
    async with memory() as broker:
        policy = Policy(max_in_flight=2)
        async with broker.subscribe("orders", group="a", policy=policy) as subscription:
            await publish(broker, 1, 2, 3)
            held = await take_all(subscription)
            assert ids(held) == ["1", "2"]
            await held[0].ack()
            assert ids(await take_all(subscription)) == ["3"]


@virtual
async def test_flw_001_an_ack_makes_room_for_who_waits_already() -> None:
    async with memory() as broker:
        policy = Policy(max_in_flight=1)
        async with broker.subscribe("orders", group="a", policy=policy) as subscription:
            await publish(broker, 1, 2)
            first = await take(subscription)
            waiting = asyncio.ensure_future(take(subscription))
            await asyncio.sleep(1)
            assert not waiting.done()
            await first.ack()
            assert (await waiting).event.id == "2"


@virtual
async def test_a_full_member_does_not_keep_events_from_another() -> None:
    async with memory() as broker:
        one = broker.subscribe("orders", group="a", policy=Policy(max_in_flight=1))
        two = broker.subscribe("orders", group="a", policy=Policy(max_in_flight=1))
        async with one as full, two as free:
            await publish(broker, 1)
            await take(full)
            waits = [asyncio.ensure_future(take(member, 20)) for member in (full, free)]
            await asyncio.sleep(1)  # the full one waits first
            await publish(broker, 2)
            assert (await waits[1]).event.id == "2"
            assert not waits[0].done()
            waits[0].cancel()


@pytest.mark.parametrize(
    ("lane", "free"),
    [("key", ["3", "4", "5"]), ("partition", ["5"]), ("topic", []), ("event", ["2", "3", "4", "5"])],
)
def test_red_006_an_unsettled_event_holds_back_its_lane_alone(lane: str, free: list[str]) -> None:
    @virtual
    async def check() -> None:
        async with (
            memory(lane=lane, partitions=2) as broker,
            broker.subscribe("orders", group="a", policy=NO_DELAY) as subscription,
        ):
            same, other = _keys(broker)
            await publish(broker, 1, 2, key="k")  # one key
            await publish(broker, 3, 4, key=same)  # another key of its partition
            await publish(broker, 5, key=other)  # a key of the other partition
            assert (await take(subscription)).event.id == "1"
            assert sorted(await acked(subscription)) == free

    check()


def _keys(broker) -> tuple[str, str]:
    """A key in the partition of "k", and one in the other."""
    engine = engine_at(URL)
    topic = engine.topic("orders")
    place = {key: engine.partition(topic, event(0, key)) for key in map(str, range(100))}
    home = engine.partition(topic, event(0, "k"))
    return next(k for k, p in place.items() if p == home), next(k for k, p in place.items() if p != home)


@virtual
async def test_ord_005_a_nacked_event_stays_before_the_rest_of_its_key() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=NO_DELAY) as subscription:
        await publish(broker, 1, 2, 3, key="k")
        await (await take(subscription)).nack(delay=5)
        await nothing(subscription, during=4.9)
        assert await acked(subscription) == []
        await asyncio.sleep(0.1)
        assert await acked(subscription) == ["1", "2", "3"]


@virtual
async def test_events_without_a_key_do_not_wait_for_each_other() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        await publish(broker, 1, 2, 3)
        assert ids(await take_all(subscription)) == ["1", "2", "3"]


@virtual
async def test_a_key_stays_in_its_partition_and_keys_spread() -> None:
    async with memory(partitions=3) as broker:
        found = {}
        for number in range(60):
            receipt = await broker.publish("orders", event(number, f"k{number % 20}"))
            assert found.setdefault(number % 20, receipt.partition) == receipt.partition
        assert set(found.values()) == {0, 1, 2}


@virtual
async def test_pub_003_a_delivery_names_the_place_of_its_copy() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        receipts = [await broker.publish("orders", event(number)) for number in range(9)]
        assert len({receipt.position for receipt in receipts}) == len(receipts)
        given = [(d.position, d.partition) for d in await take_all(subscription)]
        assert given == [(receipt.position, receipt.partition) for receipt in receipts]
