"""Kafka as a target: what the suite reads of a broker beside the port, and what it does to one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from eventproof.adapters.errors import Rejected, Unsupported
from eventproof.adapters.kafka.broker import KafkaBroker
from eventproof.adapters.policy import Policy
from eventproof.conformance.targets.kafka import KafkaTarget, connect
from eventproof.schemas.event import Event


def event(call: int, key: str | None) -> Event:
    extensions = {"eventproofcall": str(call), "partitionkey": key}
    return Event(source="/s", type="a.b", id=str(call), data=call, extensions=extensions)


@asynccontextmanager
async def started() -> AsyncIterator[tuple[KafkaTarget, KafkaBroker]]:
    target = KafkaTarget()
    async with target.start(None) as url, connect(url, **target.options) as broker:
        yield target, broker


def test_the_counters_the_log_and_the_positions_tell_what_happened() -> None:
    async def story() -> None:
        async with started() as (target, broker):
            assert target.max_payload == broker.claims.flow.max_payload
            assert target.versions()["kafka"].count(".") == 2
            await target.provision("t", partitions=1, window=5.0)
            await target.provision("dead", partitions=1, window=None)
            for call in range(1, 7):
                await broker.publish("t", event(call, str(call)))
            policy = Policy(backoff=(60.0,), max_attempts=2, dead_letter="dead")
            async with broker.subscribe("t", group="g", policy=policy) as session:
                first, second, third = [await asyncio.wait_for(session.__anext__(), 5) for _ in range(3)]
                await third.ack()
                assert await target.positions("t", "g") == {0: "-1"}, "the first is not settled"
                await first.nack()
                await second.reject("bad")
            counters = await target.idle("t", "g")
            assert counters == {"pending": 3, "in_flight": 1, "last": 6}
            assert [entry.call for entry in await target.read_log("t")] == [1, 2, 3, 4, 5, 6]
            assert [entry.position for entry in await target.read_log("t")] == ["0", "1", "2", "3", "4", "5"]
            assert [entry.call for entry in await target.read_log("dead")] == [2]
            async with broker.subscribe("dead", group="r") as session:
                await (await asyncio.wait_for(session.__anext__(), 5)).ack()
            counters = await target.idle("dead", "r")
            assert (counters["pending"], counters["in_flight"]) == (0, 0), (
                "the end of a transaction is no event"
            )
            await target.remove(["t", "dead", "never"])
            with pytest.raises(Rejected, match="no-topic"):
                await target.idle("t", "g")

    asyncio.run(story())


def test_a_broker_that_was_killed_frozen_and_restarted_has_what_it_had() -> None:
    async def story() -> None:
        async with started() as (target, broker):
            await target.provision("t", partitions=2, window=None)
            await broker.publish("t", event(1, "k"))
            target.kill()
            await target.revive()
            await broker.publish("t", event(2, "k"))
            target.freeze()
            target.thaw()
            await target.restart()
            await broker.publish("t", event(3, "k"))
            assert [entry.call for entry in await target.read_log("t")] == [1, 2, 3]

    asyncio.run(story())


def test_a_broker_of_somebody_else_suffers_no_fault() -> None:
    async def story() -> None:
        async with started() as (own, _):
            assert own.server is not None
            theirs = KafkaTarget()
            async with theirs.start(own.server.url):
                for fault in (theirs.kill, theirs.freeze, theirs.thaw):
                    with pytest.raises(Unsupported, match="a server that the suite started"):
                        fault()
                assert set(theirs.versions()) == {"aiokafka"}

    asyncio.run(story())
