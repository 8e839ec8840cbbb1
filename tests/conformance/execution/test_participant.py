"""The likeness of a process, for a broker in this one: killed without a word, and frozen beyond its lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from eventproof.adapters.errors import Indeterminate
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Broker
from eventproof.conformance.execution.participant import Participant, likeness
from eventproof.conformance.execution.stage import run_on
from eventproof.conformance.targets.memory import MemoryTarget, connect
from eventproof.schemas.event import Event

Result = TypeVar("Result")
EVENTS = [Event(source="/s", type="a.b", id=str(number)) for number in range(3)]
LEASE = Policy(ack_timeout=30.0, backoff=(0.0,))


def together(work: Callable[[Participant, Broker], Awaitable[Result]]) -> Result:
    """A likeness and another connection to the same broker, on which there is a topic."""

    async def story() -> Result:
        async with participants() as (mortal, other):
            return await work(mortal, other)

    return run_on("virtual", story)


@asynccontextmanager
async def participants() -> AsyncIterator[tuple[Participant, Broker]]:
    target = MemoryTarget()
    async with target.start(None) as url, connect(url) as other:
        await target.provision("t", partitions=1, window=None)
        async with likeness(lambda: connect(url), target.sever) as mortal:
            yield mortal, other


def test_it_is_a_broker_like_any_other() -> None:
    async def work(mortal: Participant, other: Broker) -> None:
        assert mortal.broker.claims == other.claims
        await mortal.broker.publish("t", EVENTS[0])
        async with mortal.broker.subscribe("t", group="g") as session:
            assert session.__aiter__() is session
            delivery = await session.__anext__()
            assert delivery.event == EVENTS[0]
            await delivery.ack()

    together(work)


def test_a_kill_ends_it_without_a_word_and_its_deliveries_come_to_another() -> None:
    async def work(mortal: Participant, other: Broker) -> None:
        await other.publish("t", EVENTS[0])
        async with mortal.broker.subscribe("t", group="g", policy=LEASE) as session:
            held = await session.__anext__()
            mortal.body.kill()
            await mortal.body.ended()
            with pytest.raises(asyncio.TimeoutError):  # nobody is left to be handed anything
                await asyncio.wait_for(session.__anext__(), 1)
            for call in (held.ack(), mortal.broker.publish("t", EVENTS[1])):
                with pytest.raises(Indeterminate):
                    await call
            async with other.subscribe("t", group="g", policy=LEASE) as second:
                again = await second.__anext__()
                assert (again.event, again.attempt) == (EVENTS[0], 2)
                assert asyncio.get_running_loop().time() >= LEASE.ack_timeout, "nobody told that it died"

    together(work)


def test_while_it_is_frozen_it_hands_out_nothing_and_what_became_old_is_left_to_its_lease() -> None:
    async def work(mortal: Participant, other: Broker) -> None:
        async with mortal.broker.subscribe("t", group="g", policy=LEASE) as session:
            mortal.body.freeze()
            wanted = asyncio.ensure_future(session.__anext__())
            await other.publish("t", EVENTS[0])
            assert await asyncio.wait({wanted}, timeout=100) == (set(), {wanted})
            mortal.body.thaw()
            delivery: Any = await wanted
            assert delivery.event == EVENTS[0]
            assert delivery.attempt > 1, "a delivery from before the freeze was over was handed out as fresh"
            await delivery.ack()

    together(work)


def test_a_wait_that_is_given_up_while_it_is_frozen_loses_nothing_for_good() -> None:
    async def work(mortal: Participant, other: Broker) -> None:
        async with mortal.broker.subscribe("t", group="g", policy=LEASE) as session:
            mortal.body.freeze()
            await other.publish("t", EVENTS[0])
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.__anext__(), 10)
            mortal.body.thaw()
            assert (await asyncio.wait_for(session.__anext__(), 100)).event == EVENTS[0]

    together(work)
