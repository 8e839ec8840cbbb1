"""The simulated clock: time passes only when nothing is left to do now."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from eventproof.adapters import clock
from eventproof.conformance.execution.stage import VIRTUAL_START, run_on
from eventproof.conformance.execution.virtual import Deadlock, VirtualLoop


def virtually(work: Any) -> Any:
    return run_on("virtual", work)


def test_an_hour_of_sleep_takes_no_time() -> None:
    async def work() -> float:
        loop = asyncio.get_running_loop()
        assert loop.time() == 0
        await asyncio.sleep(3600)
        return loop.time()

    started = time.perf_counter()
    assert virtually(work) == pytest.approx(3600)
    assert time.perf_counter() - started < 5


def test_timers_fire_in_the_order_of_their_times_and_at_them() -> None:
    async def work() -> list[tuple[str, float]]:
        seen = []

        async def after(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append((name, asyncio.get_running_loop().time()))

        await asyncio.gather(after("late", 30), after("soon", 0.001), after("between", 7.5))
        return seen

    assert virtually(work) == [("soon", 0.001), ("between", 7.5), ("late", 30)]


def test_no_time_passes_while_there_is_work() -> None:
    async def work() -> float:
        for _ in range(10_000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert virtually(work) == 0


def test_wall_time_follows_the_simulated_time_and_only_inside() -> None:
    async def work() -> Any:
        before = clock.now()
        await asyncio.sleep(86_400)
        return before, clock.now()

    assert virtually(work) == (VIRTUAL_START, VIRTUAL_START + timedelta(days=1))
    assert clock.now().year != VIRTUAL_START.year or clock.now() > VIRTUAL_START + timedelta(days=2)


def test_a_timeout_ends_a_wait_for_what_never_comes() -> None:
    async def work() -> float:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 90)
        return asyncio.get_running_loop().time()

    assert virtually(work) == pytest.approx(90)


def test_a_deadlock_is_an_error_and_no_hang() -> None:
    async def work() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="no timer is set"):
        virtually(work)


def test_sockets_are_refused_with_the_reason() -> None:
    async def work() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(NotImplementedError, match="no sockets"):
        virtually(work)


def test_every_run_starts_at_zero() -> None:
    async def work() -> float:
        start = asyncio.get_running_loop().time()
        await asyncio.sleep(5)
        return start

    assert [virtually(work) for _ in range(3)] == [0, 0, 0]


def test_time_goes_on_when_steps_are_smaller_than_its_rounding() -> None:
    loop = VirtualLoop()
    loop._virtual.now = 3e7  # a run of a hundred thousand scenarios

    async def work() -> float:
        for _ in range(1000):
            await asyncio.sleep(1e-9)
            await asyncio.sleep(0.1)
        return loop.time()

    assert loop.run_until_complete(work()) > 3e7 + 99
    loop.close()
