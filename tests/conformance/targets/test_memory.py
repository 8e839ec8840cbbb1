"""The faults that the memory broker's target offers are simulated on the engine behind its URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from eventproof.adapters.errors import Indeterminate, SessionLost
from eventproof.adapters.memory import MemoryBroker, engine_at
from eventproof.conformance.plugin import ours
from eventproof.conformance.targets.facilities import Facilities
from tests.adapters.memory.world import event, publish, take
from tests.adapters.virtual import at, virtual


@asynccontextmanager
async def started() -> AsyncIterator[tuple[Facilities, MemoryBroker, MemoryBroker]]:
    plugin = ours("memory")
    async with plugin.facilities.start(None) as url, plugin.connect(url) as one, plugin.connect(url) as two:
        assert isinstance(one, MemoryBroker)
        assert isinstance(two, MemoryBroker)
        assert engine_at(url).serves
        yield plugin.facilities, one, two


@virtual
async def test_a_broker_that_is_killed_comes_back_with_its_data() -> None:
    async with started() as (target, broker, _):
        assert target.kill is not None
        assert target.revive is not None
        await publish(broker, 1)
        async with broker.subscribe("orders", group="a") as subscription:
            target.kill()
            waiting = asyncio.ensure_future(broker.publish("orders", event(2)))
            with pytest.raises(SessionLost):
                await take(subscription)
        await target.revive()
        assert (await waiting).position == "1"
        async with broker.subscribe("orders", group="a") as again:
            assert (await take(again)).event.id == "1"


@virtual
async def test_an_orderly_restart_leaves_nothing_in_doubt() -> None:
    async with started() as (target, broker, _):
        assert target.restart is not None
        async with broker.subscribe("orders", group="a") as subscription:
            calls = [asyncio.ensure_future(broker.publish("orders", event(n))) for n in range(20)]
            await asyncio.sleep(0)
            await target.restart()
            receipts = await asyncio.gather(*calls)
            assert [receipt.position for receipt in receipts] == [str(n) for n in range(20)]
            with pytest.raises(SessionLost):
                await take(subscription)


@virtual
async def test_a_frozen_broker_answers_after_the_thaw() -> None:
    async with started() as (target, broker, _):
        assert target.freeze is not None
        assert target.thaw is not None
        target.freeze()
        waiting = asyncio.ensure_future(broker.publish("orders", event(1)))
        await asyncio.sleep(20)
        target.thaw()
        assert (await waiting).duplicate is False
        assert at() == 20


@virtual
async def test_one_participant_is_severed_and_no_other() -> None:
    async with started() as (target, one, two):
        assert target.sever is not None
        target.sever(one)
        with pytest.raises(Indeterminate):
            await one.publish("orders", event(1))
        await publish(two, 1)
