"""Dead letters: when there is one, that there is one only, and what it tells; and events that expire."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eventproof.adapters.errors import Rejected, Unsupported
from eventproof.adapters.memory.broker import MemoryBroker
from eventproof.adapters.policy import Policy
from eventproof.schemas.deadletter import from_dead_letter
from eventproof.schemas.event import Event
from tests.adapters.memory.world import acked, event, ids, memory, nothing, publish, take, take_all
from tests.adapters.virtual import START, at, virtual

TWICE = Policy(ack_timeout=30, backoff=(), max_attempts=2, dead_letter="dead")


async def dead(broker: MemoryBroker) -> list[Event]:
    async with broker.subscribe("dead", group=f"look {at()}") as letters:
        return [delivery.event for delivery in await take_all(letters)]


@virtual
async def test_dlq_001_an_event_whose_attempts_are_used_up_is_dead_lettered_once() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=TWICE) as subscription:
        sent = event(1, "k", data={"a": [1, None]})
        await broker.publish("orders", sent)
        for _ in range(2):
            await (await take(subscription)).nack()
        await nothing(subscription, during=100)
        (letter,) = await dead(broker)
        original, info = from_dead_letter(letter)
        assert original == sent
        assert (info.reason, info.attempts, info.topic, info.group) == ("attempts", 2, "orders", "a")
        assert (info.error, info.time) == ("", START)


@virtual
async def test_dlq_001_the_last_nack_asks_for_no_delay() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=TWICE) as subscription:
        await publish(broker, 1)
        await (await take(subscription)).nack()
        await (await take(subscription)).nack(delay=500)
        assert len(await dead(broker)) == 1


@virtual
async def test_dlq_001_leases_that_end_use_up_attempts() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=TWICE) as subscription:
        await publish(broker, 1, 2, key="k")
        await take(subscription)
        await take(subscription)
        assert (await take(subscription)).event.id == "2"  # the key goes on
        assert at() == 60
        assert [from_dead_letter(letter)[1].reason for letter in await dead(broker)] == ["attempts"]


@virtual
async def test_dlq_001_leaving_with_the_last_attempt_uses_it_up() -> None:
    async with memory() as broker:
        for _ in range(2):
            async with broker.subscribe("orders", group="a", policy=TWICE) as subscription:
                await broker.publish("orders", event(1))
                await take(subscription)
        assert ids_of(await dead(broker)) == ["1"]
        async with broker.subscribe("orders", group="a", policy=TWICE) as subscription:
            await nothing(subscription, during=100)


def ids_of(events: list[Event]) -> list[str]:
    return [event.id for event in events]


@virtual
async def test_dlq_006_a_rejected_event_is_dead_lettered_at_once_with_the_reason() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=TWICE) as subscription:
        await publish(broker, 1)
        await (await take(subscription)).reject("no such customer")
        await nothing(subscription, during=100)
        (letter,) = await dead(broker)
        info = from_dead_letter(letter)[1]
        assert (info.reason, info.attempts, info.error) == ("rejected", 1, "no such customer")


@virtual
async def test_dlq_004_one_dead_letter_however_often_it_is_rejected() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=TWICE) as subscription:
        await publish(broker, 1)
        delivery = await take(subscription)
        await delivery.reject("once")
        await delivery.reject("twice")
        assert len(await dead(broker)) == 1


@virtual
async def test_dlq_003_an_acked_event_has_no_dead_letter() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=TWICE) as subscription:
        await publish(broker, 1)
        await (await take(subscription)).nack()
        await (await take(subscription)).ack()
        assert await dead(broker) == []


@virtual
async def test_each_group_that_gives_up_writes_its_own_dead_letter() -> None:
    async with memory() as broker:
        one = broker.subscribe("orders", group="a", policy=TWICE)
        two = broker.subscribe("orders", group="b", policy=TWICE)
        async with one as a, two as b:
            await publish(broker, 1)
            await (await take(a)).reject("a")
            await (await take(b)).reject("b")
        assert [from_dead_letter(letter)[1].group for letter in await dead(broker)] == ["a", "b"]


@virtual
async def test_a_reject_without_a_dead_letter_topic_is_refused_and_settles_nothing() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        await publish(broker, 1)
        delivery = await take(subscription)
        with pytest.raises(Rejected) as refusal:
            await delivery.reject("no")
        assert refusal.value.kind == "no-dead-letter"
        await delivery.ack()


@pytest.mark.parametrize("policy", [TWICE, Policy(dead_letter="dead")])
def test_adp_005_who_settles_at_the_hand_out_has_no_dead_letters_and_says_so(policy: Policy) -> None:
    @virtual
    async def check() -> None:
        async with memory(delivery="at-most-once") as broker:
            with pytest.raises(Unsupported):
                async with broker.subscribe("orders", group="a", policy=policy):
                    pass
            async with broker.subscribe("orders", group="a") as subscription:  # the refused one left no group
                await publish(broker, 1)
                delivery = await take(subscription)
                with pytest.raises(Rejected) as refusal:
                    await delivery.reject("no")
                assert refusal.value.kind == "no-dead-letter"

    check()


@virtual
async def test_without_max_attempts_an_event_comes_back_for_ever() -> None:
    async with memory() as broker:
        policy = Policy(backoff=(), dead_letter="dead")
        async with broker.subscribe("orders", group="a", policy=policy) as subscription:
            await publish(broker, 1)
            for attempt in range(1, 50):
                delivery = await take(subscription)
                assert delivery.attempt == attempt
                await delivery.nack()


def expiring(number: int, seconds: float) -> Event:
    return event(number, "k", extensions={"expirytime": START + timedelta(seconds=seconds)})


@virtual
async def test_flw_002_an_expired_event_is_not_handed_out_and_its_key_goes_on() -> None:
    async with memory() as broker:
        await broker.publish("orders", event(0, "k"))
        await broker.publish("orders", expiring(1, 10))
        await broker.publish("orders", expiring(2, 40))
        policy = Policy(ack_timeout=20, backoff=(), dead_letter="dead")
        async with broker.subscribe("orders", group="a", policy=policy) as subscription:
            first = await take(subscription)
            await nothing(subscription, during=10)
            await first.ack()
            assert await acked(subscription) == ["2"]
            (letter,) = await dead(broker)
            original, info = from_dead_letter(letter)
            assert (original.id, info.reason, info.attempts) == ("1", "expired", 0)


@virtual
async def test_flw_002_an_event_may_expire_between_two_attempts() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=TWICE) as subscription:
        await broker.publish("orders", expiring(1, 10))
        await (await take(subscription)).nack(delay=10)
        await nothing(subscription, during=100)
        info = from_dead_letter((await dead(broker))[0])[1]
        assert (info.reason, info.attempts) == ("expired", 1)


@virtual
async def test_flw_002_without_a_dead_letter_topic_an_expired_event_is_dropped() -> None:
    async with memory() as broker:
        await broker.publish("orders", expiring(1, 0))
        await broker.publish("orders", expiring(2, 1))
        async with broker.subscribe("orders", group="a") as subscription:
            assert ids(await take_all(subscription)) == ["2"]
