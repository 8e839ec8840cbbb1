"""Where (source, id) is recognised, and for how long; and what a publish answers."""

from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import Rejected
from eventproof.adapters.memory import engine_at
from eventproof.adapters.policy import Policy
from eventproof.schemas.structured import encode
from tests.adapters.memory.world import NO_DELAY, URL, acked, event, memory, nothing, publish, take
from tests.adapters.virtual import virtual

LIMIT = 1000
LETTERS = Policy(backoff=(), dead_letter="dead")


@virtual
async def test_dup_002_a_repeated_publish_is_answered_with_the_first_copy() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        first = await broker.publish("orders", event(1, "k"))
        again = await broker.publish("orders", event(1, "other key", data="other data"))
        assert (first.duplicate, again.duplicate) == (False, True)
        assert (again.position, again.partition) == (first.position, first.partition)
        assert await acked(subscription) == ["1"]


@pytest.mark.parametrize(("after", "duplicate"), [(59.9, True), (60.0, False), (60.1, False)])
def test_dup_003_the_window_has_an_edge(after: float, duplicate: bool) -> None:
    @virtual
    async def check() -> None:
        async with memory(window=60) as broker:
            await broker.publish("orders", event(1))
            await asyncio.sleep(after)
            assert (await broker.publish("orders", event(1))).duplicate is duplicate

    check()


@virtual
async def test_dup_003_a_duplicate_does_not_renew_the_window() -> None:
    async with memory(window=60) as broker:
        answers = []
        for _ in range(4):
            answers.append((await broker.publish("orders", event(1))).duplicate)
            await asyncio.sleep(40)
        assert answers == [False, True, False, True]


@virtual
async def test_an_identity_is_source_and_id_in_one_topic() -> None:
    async with memory() as broker:
        await broker.publish("orders", event(1))
        assert not (await broker.publish("orders", event(1, source="/others"))).duplicate
        assert not (await broker.publish("users", event(1))).duplicate
        assert not (await broker.publish("orders", event(2))).duplicate


@virtual
async def test_a_duplicate_of_what_was_acked_is_still_one() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a") as subscription:
        await publish(broker, 1)
        assert await acked(subscription) == ["1"]
        assert (await broker.publish("orders", event(1))).duplicate
        assert await acked(subscription) == []


@virtual
async def test_without_deduplication_every_publish_is_a_copy() -> None:
    async with memory(dedup="none") as broker, broker.subscribe("orders", group="a") as subscription:
        positions = {(await broker.publish("orders", event(1))).position for _ in range(3)}
        assert len(positions) == 3
        assert await acked(subscription) == ["1"] * 3
        assert broker.claims.publish_dedup.scope == broker.claims.consume_dedup.scope == "none"


@virtual
async def test_dup_005_what_a_group_settled_is_not_handed_to_it_again() -> None:
    async with (
        memory(dedup="consume", window=60) as broker,
        broker.subscribe("orders", group="a") as a,
        broker.subscribe("orders", group="b") as b,
    ):
        assert not (await broker.publish("orders", event(1, "k"))).duplicate
        assert await acked(a) == ["1"]
        assert not (await broker.publish("orders", event(1, "k"))).duplicate
        assert await acked(a) == []
        assert await acked(b) == ["1"]  # each group by itself
        await publish(broker, 2, key="k")
        assert await acked(a) == ["2"]  # the key goes on


@virtual
async def test_dup_005_a_copy_that_failed_does_not_hide_the_next() -> None:
    async with memory(dedup="consume") as broker:
        policy = Policy(backoff=(100,))
        async with broker.subscribe("orders", group="a", policy=policy) as subscription:
            await publish(broker, 1)
            await (await take(subscription)).nack()
            await publish(broker, 1)
            assert await acked(subscription) == ["1"]  # the second copy: there is no key to wait for
            await nothing(subscription, during=2000)  # and the first is settled with it


@virtual
async def test_dup_005_a_duplicate_does_not_renew_the_window_of_a_group() -> None:
    async with (
        memory(dedup="consume", window=60) as broker,
        broker.subscribe("orders", group="a", policy=NO_DELAY) as subscription,
    ):
        seen = []
        for _ in range(4):
            await publish(broker, 1, key="k")
            seen.append(await acked(subscription))
            await asyncio.sleep(40)
        assert seen == [["1"], [], ["1"], []]


@virtual
async def test_pub_002_an_event_above_the_limit_is_refused_and_not_stored() -> None:
    async with memory(max_payload=LIMIT) as broker, broker.subscribe("orders", group="a") as subscription:
        room = LIMIT - len(encode(event(1, data="")))
        with pytest.raises(Rejected) as refusal:
            await broker.publish("orders", event(1, data="x" * (room + 1)))
        assert refusal.value.kind == "too-large"
        await nothing(subscription)
        receipt = await broker.publish("orders", event(1, data="x" * room))
        assert not receipt.duplicate  # what was refused is not remembered
        assert await acked(subscription) == ["1"]


@virtual
async def test_a_topic_has_a_window_and_partitions_of_its_own() -> None:
    async with memory(partitions=1, window=60) as broker:
        engine_at(URL).provision("orders", partitions=8, window=5)
        engine_at(URL).provision("orders", partitions=8, window=5)  # the same again is fine
        with pytest.raises(Rejected) as refusal:
            engine_at(URL).provision("orders", partitions=8, window=6)
        assert refusal.value.kind == "conflict"
        places = {(await broker.publish("orders", event(number))).partition for number in range(50)}
        assert len(places) > 1
        await asyncio.sleep(5)
        assert not (await broker.publish("orders", event(0))).duplicate


@virtual
async def test_dup_003_a_dead_letter_makes_no_duplicate_of_what_is_published_beside_it() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=LETTERS) as subscription:
        await publish(broker, 1)
        await (await take(subscription)).reject("bad")
        receipt = await broker.publish("dead", event(1))
        assert (receipt.duplicate, receipt.position) == (False, "1")
        assert (await broker.publish("dead", event(1))).duplicate


@virtual
async def test_dlq_004_each_group_s_dead_letter_is_handed_out_whatever_consuming_recognises() -> None:
    async with memory(dedup="consume") as broker:
        await publish(broker, 1)
        async with broker.subscribe("dead", group="look") as letters:
            for group in ("a", "b"):
                async with broker.subscribe("orders", group=group, policy=LETTERS) as subscription:
                    await (await take(subscription)).reject("bad")
            assert await acked(letters) == ["1", "1"]
            await broker.publish("dead", event(1))
            assert await acked(letters) == ["1"]
            await broker.publish("dead", event(1))
            assert await acked(letters) == []
