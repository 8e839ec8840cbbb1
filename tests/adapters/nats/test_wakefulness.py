"""NAT-026 on simulated time: since when what is read now may have been waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from eventproof.adapters.nats.group import Group
from eventproof.adapters.nats.provision import Topic
from eventproof.adapters.nats.wakefulness import PULSE, STILL, Wakefulness
from eventproof.adapters.policy import Policy
from tests.adapters.virtual import at, virtual

NOON = 12.0
PAUSE = 30.0


class Socket:
    """What was sent while the process stood still, until `read` says that it is read."""

    def __init__(self) -> None:
        self.asked = 0
        self.read = asyncio.Event()

    async def catch_up(self) -> None:
        self.asked += 1
        await self.read.wait()


@asynccontextmanager
async def awake() -> AsyncIterator[tuple[Wakefulness, Socket]]:
    socket = Socket()
    wakefulness = Wakefulness(socket.catch_up)
    try:
        yield wakefulness, socket
    finally:
        wakefulness.close()


def stand_still(seconds: float) -> float:
    """The clock goes on and nothing else does. Returns when it began."""
    began = at()
    asyncio.get_running_loop()._virtual.now += seconds
    return began


@virtual
async def test_what_a_loop_that_runs_reads_was_sent_a_moment_ago() -> None:
    async with awake() as (wakefulness, socket):
        while at() < NOON:
            assert at() - PULSE <= wakefulness.since + 1e-6 <= at() + 1e-6
            await asyncio.sleep(0.03)
        assert socket.asked == 0


@virtual
async def test_a_loop_that_is_slow_tells_how_slow() -> None:
    async with awake() as (wakefulness, socket):
        await asyncio.sleep(NOON)
        began = stand_still(STILL - PULSE)
        assert wakefulness.since <= began
        await asyncio.sleep(PULSE)
        assert at() - wakefulness.since <= PULSE + 1e-6
        assert socket.asked == 0


def test_nat_019_a_pause_that_is_not_noticed_is_within_the_margin_of_the_shortest_lease() -> None:
    shortest = Group("g", Topic("t", "prefix~t", 1), Policy(ack_timeout=1e-6)).grace
    assert STILL + shortest / 2 < shortest, "half of it may be spent waiting to be handed out"


def waking_up(wakefulness: Wakefulness) -> None:
    """Read before the timer has told that there was a pause."""
    assert wakefulness.since <= at() - PAUSE + 1e-6


@pytest.mark.parametrize("before", [waking_up, lambda _: None])
def test_after_a_pause_all_may_have_waited_since_it_began_until_everything_is_read(
    before: Callable[[Wakefulness], None],
) -> None:
    @virtual
    async def story() -> None:
        async with awake() as (wakefulness, socket):
            await asyncio.sleep(NOON)
            began = stand_still(PAUSE)
            before(wakefulness)
            for _ in range(50):
                await asyncio.sleep(0.03)
                assert began - PULSE <= wakefulness.since <= began
            assert socket.asked == 1
            socket.read.set()
            await asyncio.sleep(PULSE)
            assert at() - wakefulness.since <= PULSE + 1e-6

    story()


@virtual
async def test_a_second_pause_counts_from_its_own_beginning() -> None:
    async with awake() as (wakefulness, socket):
        await asyncio.sleep(NOON)
        first = stand_still(PAUSE)
        await asyncio.sleep(1)
        socket.read.set()
        await asyncio.sleep(1)
        socket.read.clear()
        second = stand_still(PAUSE)
        await asyncio.sleep(1)
        assert first < second - PULSE <= wakefulness.since <= second
        assert socket.asked == 2


@virtual
async def test_a_pause_within_the_reading_begins_it_anew_and_all_counts_from_the_first() -> None:
    """More may have come behind the answer that the first reading waited for."""
    async with awake() as (wakefulness, socket):
        await asyncio.sleep(NOON)
        first = stand_still(PAUSE)
        await asyncio.sleep(1)
        stand_still(PAUSE)
        await asyncio.sleep(1)
        assert wakefulness.since <= first
        assert socket.asked == 2


@virtual
async def test_a_new_connection_has_nothing_old_in_it() -> None:
    async with awake() as (wakefulness, socket):
        await asyncio.sleep(NOON)
        stand_still(PAUSE)
        await asyncio.sleep(PULSE)
        wakefulness.reconnected()
        await asyncio.sleep(PULSE)
        assert at() - wakefulness.since <= PULSE + 1e-6
        again = stand_still(PAUSE)
        await asyncio.sleep(PULSE)
        assert wakefulness.since <= again
        assert socket.asked == 2


@virtual
async def test_closed_it_waits_for_nothing() -> None:
    async with awake() as (_, socket):
        stand_still(PAUSE)
        await asyncio.sleep(PULSE)
    await asyncio.sleep(0)
    assert socket.asked == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
