"""What the broker tells of itself, and topics made and removed."""

from __future__ import annotations

import pytest

from eventproof.adapters.errors import LeaseExpired
from eventproof.adapters.memory import engine_at
from eventproof.adapters.policy import Policy
from tests.adapters.memory.world import NO_DELAY, URL, event, ids, memory, nothing, publish, take, take_all
from tests.adapters.virtual import virtual


def positions(group: str = "a") -> dict[int, str]:
    engine = engine_at(URL)
    return engine.positions(engine.topic("orders").groups[group])


def counters(group: str = "a") -> dict[str, int]:
    engine = engine_at(URL)
    return engine.counters(engine.topic("orders").groups[group])


@virtual
async def test_dlv_008_the_position_stops_before_what_is_not_settled() -> None:
    async with (
        memory(partitions=1) as broker,
        broker.subscribe("orders", group="a", policy=NO_DELAY) as subscription,
    ):
        await publish(broker, 0, 1, 2, 3)
        assert positions() == {}
        held = await take_all(subscription)
        await held[0].ack()
        await held[2].ack()
        assert positions() == {0: held[0].position}
        await held[1].nack(delay=5)
        assert positions() == {0: held[0].position}
        await (await take(subscription)).ack()
        assert positions() == {0: held[2].position}


@virtual
async def test_dlv_008_each_partition_has_a_position_of_its_own() -> None:
    async with memory(partitions=2) as broker, broker.subscribe("orders", group="a") as subscription:
        await publish(broker, *range(20))
        held = await take_all(subscription)
        assert {delivery.partition for delivery in held} == {0, 1}
        for delivery in held:
            if delivery.partition == 1:
                await delivery.ack()
        last = [delivery.position for delivery in held if delivery.partition == 1][-1]
        assert positions() == {1: last}


@virtual
async def test_the_position_passes_what_the_group_does_not_want() -> None:
    policy = Policy(types=("wanted",))
    async with memory(partitions=1) as broker, broker.subscribe("orders", group="a", policy=policy):
        receipt = await broker.publish("orders", event(1))
        await broker.publish("orders", event(2, type="wanted"))
        assert positions() == {0: receipt.position}


@virtual
async def test_the_counters_tell_what_is_out_and_what_is_not() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=NO_DELAY) as subscription:
        await publish(broker, 1, 2, 3, key="k")
        assert counters() == {"pending": 3, "in_flight": 0, "last": 3}
        await (await take(subscription)).nack(delay=5)
        assert counters() == {"pending": 2, "in_flight": 1, "last": 3}
        await (await take(subscription)).ack()
        assert counters() == {"pending": 2, "in_flight": 0, "last": 3}


@virtual
async def test_a_removed_topic_takes_its_groups_and_deliveries_along() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        await publish(broker, *range(100))
        held = await take(subscription)
        engine_at(URL).remove("orders")
        engine_at(URL).remove("orders")
        assert held.lost
        with pytest.raises(LeaseExpired):
            await held.ack()
        await nothing(subscription, during=1000)
        assert not (await broker.publish("orders", event(0))).duplicate
        async with broker.subscribe("orders", group="a", policy=NO_DELAY) as fresh:
            assert ids(await take_all(fresh)) == ["0"]
