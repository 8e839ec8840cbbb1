"""The memory broker is what its document says (spec/bindings/memory.md), requirement by requirement."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack

import msgspec
import pytest

from eventproof.adapters.errors import LeaseExpired, Rejected
from eventproof.adapters.memory import connect, engine_at
from eventproof.adapters.memory.claims import claims
from eventproof.adapters.memory.state import Options
from eventproof.adapters.policy import Policy
from eventproof.schemas.structured import encode
from eventproof.spec.__main__ import HERE
from eventproof.spec.parse import document, table
from tests.adapters.memory.world import (
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
from tests.adapters.test_claims import GRADES, fallen, written
from tests.adapters.virtual import virtual

BINDING = document("bindings/memory.md", (HERE / "bindings" / "memory.md").read_text(encoding="utf-8"))
MORTAL = Policy(backoff=(), max_attempts=1, dead_letter="dead", ack_timeout=10.0)
LANES = {
    # of the keys a, b, none, a, none: what is handed out at once, and what an ack of the first one frees
    "key": (["0", "1", "2", "4"], ["3"]),
    "topic": (["0"], ["1"]),
    "event": (["0", "1", "2", "3", "4"], []),
}


def column(number: int) -> dict[str, str]:
    """A column of the document's table of claims, by path."""
    rows = table(BINDING, "Claims")
    return {row[0].strip("`"): " ".join(re.findall("`([^`]*)`", row[number])) for row in rows}


def test_its_document_names_the_options_with_their_defaults() -> None:
    rows = {row[0].strip("`"): row[2].strip("`") for row in table(BINDING, "Memory (MEM)")}
    defaults = msgspec.to_builtins(Options())
    assert {
        name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in defaults.items()
    } == rows


BY_OPTION = [(row[0].strip("`"), row[1]) for row in table(BINDING, "By option")]


@pytest.mark.parametrize(("option", "instead"), BY_OPTION)
def test_each_option_claims_what_its_document_says(option: str, instead: str) -> None:
    name, _, value = option.partition("=")
    default, found = written(claims(Options())), written(claims(Options(**{name: value})))
    changed = {path for path in found if found[path] != default[path] and not path.endswith(".window")}
    said = dict(re.findall("`([^`=]+)=([^`]+)`", instead))
    assert {path: shown(found[path]) for path in changed} == said


def shown(claim: object) -> str:
    return str(list(claim)) if isinstance(claim, tuple) else str(claim).lower()


@pytest.mark.parametrize("lane", ["partition", "topic", "event"])
def test_at_most_once_claims_the_same_under_each_lane(lane: str) -> None:
    once = Options(delivery="at-most-once", dedup="consume")
    assert claims(msgspec.structs.replace(once, lane=lane)) == claims(once)
    assert claims(once).consume_dedup.scope == "none"
    assert claims(once).survives.dedup == ()


def test_it_claims_no_less_than_its_floor() -> None:
    assert set(column(1)) == set(GRADES)
    assert not fallen(column(1), claims(Options()))


def test_it_claims_what_its_document_says() -> None:
    found = written(claims(Options()))
    for path, claim in column(2).items():
        if path.startswith("survives."):
            assert list(found[path]) == claim.split(), path
        elif GRADES[path]:
            assert str(found[path]).lower() == claim, path
        else:
            assert found[path] == (float(claim) if claim else None), path


@virtual
async def test_mem_001_connections_share_the_broker_of_the_first() -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(memory(dedup="none", partitions=2))
        async with memory(dedup="publish", partitions=9) as second:
            await publish(second, 1, 1)
        await publish(first, 1)
        assert engine_at(URL).topic("orders").partitions == 2
        assert len(engine_at(URL).topic("orders").log) == 3
        async with connect("memory://elsewhere") as other, other.subscribe("orders", group="a") as empty:
            await nothing(empty)
    async with memory() as fresh, fresh.subscribe("orders", group="a") as subscription:
        await nothing(subscription)


@virtual
async def test_mem_002_a_topic_is_made_on_first_use() -> None:
    async with memory(partitions=3, window=7) as broker:
        engine_at(URL).provision("given", partitions=5, window=None)
        await publish(broker, 1, topic="published")
        async with broker.subscribe("subscribed", group="a"), broker.subscribe("given", group="a"):
            found = {name: (one.partitions, one.window) for name, one in engine_at(URL).topics.items()}
        assert found == {"given": (5, 7), "published": (3, 7), "subscribed": (3, 7)}


@pytest.mark.parametrize("partitions", [1, 3, 4, 7])
def test_mem_003_the_crc_32_of_the_key_names_the_partition(partitions: int) -> None:
    @virtual
    async def check() -> None:
        sums = {"123456789": 3421780262, "customer-17": 1155573983, "köln": 4004059903}
        async with memory(partitions=partitions) as broker:
            for key, crc in sums.items():
                assert (await broker.publish("orders", event(key, key))).partition == crc % partitions
            alone = event(1)
            alike = event(2, alone.identity)
            places = [(await broker.publish("orders", one)).partition for one in (alone, alike)]
            assert places[0] == places[1]

    check()


@virtual
async def test_mem_004_positions_count_the_copies_of_a_topic() -> None:
    async with memory() as broker, broker.subscribe("orders", group="a", policy=MORTAL) as subscription:
        receipts = [await broker.publish("orders", event(number)) for number in (1, 2, 2, 3)]
        assert [receipt.position for receipt in receipts] == ["0", "1", "1", "2"]
        assert len({receipt.partition for receipt in receipts}) > 1
        await (await take(subscription)).reject("no")
        assert (await broker.publish("dead", event(9))).position == "1"
        assert (await broker.publish("orders", event(4))).position == "3"


@virtual
async def test_mem_005_what_was_settled_stays_for_the_next_group() -> None:
    async with memory() as broker:
        await publish(broker, 1, 2, 3)
        for group in ("a", "b"):
            async with broker.subscribe("orders", group=group) as subscription:
                assert await acked(subscription) == ["1", "2", "3"]
            await asyncio.sleep(1_000_000)
        assert len(engine_at(URL).topic("orders").log) == 3


@virtual
async def test_mem_006_what_is_too_large_leaves_no_trace() -> None:
    small = event(1, data="")
    limit = len(encode(small)) + 10
    async with memory(max_payload=limit) as broker:
        with pytest.raises(Rejected) as refusal:
            await broker.publish("orders", event(1, data="x" * 11))
        assert refusal.value.kind == "too-large"
        assert engine_at(URL).topic("orders").log == []
        receipt = await broker.publish("orders", event(1, data="x" * 10))
        assert (receipt.position, receipt.duplicate) == ("0", False)


@pytest.mark.parametrize("lane", LANES)
def test_mem_007_the_head_of_a_lane_alone_is_out(lane: str) -> None:
    @virtual
    async def check() -> None:
        at_once, after = LANES[lane]
        async with memory(lane=lane) as broker, broker.subscribe("orders", group="a") as subscription:
            for number, key in enumerate(["a", "b", None, "a", None]):
                await broker.publish("orders", event(number, key))
            held = await take_all(subscription)
            assert ids(held) == at_once
            await held[0].nack(delay=5)
            assert await take_all(subscription) == []
            again = await take(subscription)
            assert (again.event.id, again.attempt) == ("0", 2)
            await again.ack()
            assert ids(await take_all(subscription)) == after

    check()


@pytest.mark.parametrize("way", ["reject", "nack", "lease", "leave"])
def test_mem_008_the_dead_letter_and_its_original_are_one_step(way: str) -> None:
    @virtual
    async def check() -> None:
        async with memory() as broker:
            await publish(broker, 1)
            async with broker.subscribe("orders", group="a", policy=MORTAL) as subscription:
                held = await take(subscription)
                if way == "reject":
                    await held.reject("no")
                elif way == "nack":
                    await held.nack()
                elif way == "lease":
                    await asyncio.sleep(10)
                assert dead_and_open() == ((0, 1) if way == "leave" else (1, 0))
            assert dead_and_open() == (1, 0)

    check()


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_mem_008_a_reject_that_is_cancelled_did_both_or_neither(turns: int) -> None:
    @virtual
    async def check() -> None:
        async with memory() as broker, broker.subscribe("orders", group="a", policy=MORTAL) as subscription:
            await publish(broker, 1)
            held = await take(subscription)
            rejecting = asyncio.ensure_future(held.reject("no"))
            for _ in range(turns):
                await asyncio.sleep(0)
            rejecting.cancel()
            await asyncio.gather(rejecting, return_exceptions=True)
            assert dead_and_open() == ((1, 0) if turns > 1 else (0, 1))

    check()


def dead_and_open() -> tuple[int, int]:
    """How many dead letters there are, and how many copies that group a has not settled."""
    topics = engine_at(URL).topics
    return len(topics["dead"].log) if "dead" in topics else 0, len(
        list(topics["orders"].groups["a"].unsettled())
    )


@pytest.mark.parametrize("verb", ["ack", "nack", "reject", "extend"])
@pytest.mark.parametrize("since", ["returned", "handed out", "settled"])
def test_mem_009_a_verb_of_a_hand_out_that_ended_has_no_effect(verb: str, since: str) -> None:
    @virtual
    async def check() -> None:
        policy = Policy(backoff=(), dead_letter="dead", ack_timeout=10.0)
        async with memory() as broker, broker.subscribe("orders", group="a", policy=policy) as subscription:
            await publish(broker, 1)
            stale = (await take(subscription))._settlement  # the broker's side: past the client's own clock
            await asyncio.sleep(10)
            present = None if since == "returned" else await take(subscription)
            if present and since == "settled":
                await present.ack()
            before = engine_at(URL).counters(engine_at(URL).topics["orders"].groups["a"])
            with pytest.raises(LeaseExpired):
                await getattr(stale, verb)(*{"nack": [0], "reject": ["no"]}.get(verb, []))
            assert engine_at(URL).counters(engine_at(URL).topics["orders"].groups["a"]) == before
            assert "dead" not in engine_at(URL).topics

    check()
