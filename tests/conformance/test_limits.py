"""The caps: no more than so many bytes, seconds, and publishes in any second."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from eventproof.conformance.demand import EVENT, demand, weight, without_oversize
from eventproof.conformance.execution import limits
from eventproof.conformance.execution.limits import Allowance, Pace, Turns
from eventproof.conformance.execution.run import wait_for_all
from eventproof.conformance.execution.virtual import VirtualLoop
from eventproof.conformance.scenario import Group, Payload, Policy, Publish, Scenario, Topic
from eventproof.conformance.strategies import generate
from eventproof.conformance.suite import LARGEST
from eventproof.conformance.targets.visit import Caps


def virtual(work: Any) -> Any:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


# what a scenario takes


def test_no_scenario_demands_more_than_the_largest() -> None:
    most = demand(LARGEST)
    found = [demand(scenario) for scenario in generate(300, 5)]
    assert max(one.topics for one in found) <= most.topics == 4
    assert max(one.lanes for one in found) <= most.lanes == 10
    assert max(one.crowd for one in found) <= most.crowd == 8


def test_a_demand_counts_dead_letters() -> None:
    topics = (Topic(partitions=3), Topic(partitions=2))
    one = Scenario(topics=topics, groups=(Group(topic=1), Group(topic=1, policy=Policy(max_attempts=1))))
    assert (demand(one).topics, demand(one).lanes, demand(one).crowd) == (3, 5, 4)
    assert (demand(Scenario()).topics, demand(Scenario()).lanes, demand(Scenario()).crowd) == (1, 0, 0)


def test_a_weight_counts_each_copy_and_each_probe() -> None:
    step = Publish(call=1, event=1, key=1)
    one = Scenario(payloads=(Payload(kind="json", json="x" * 98),), publishers=((step,),))
    probes = 2 * 3 * EVENT  # with the key and without, of each type
    assert weight(one, None) == EVENT + 100 + probes
    dead = Scenario(
        payloads=one.payloads, publishers=one.publishers, groups=(Group(policy=Policy(max_attempts=1)),)
    )
    assert weight(dead, None) == 2 * weight(one, None)
    large = Scenario(payloads=(Payload(kind="oversize"),), publishers=((step,),))
    assert weight(large, 5000) == EVENT + 5000 + probes
    assert weight(without_oversize(large), 5000) == EVENT + len("null") + probes


# the allowance


def test_without_caps_there_is_always_enough() -> None:
    allowance = Allowance()
    assert all(allowance.take(1 << 60) for _ in range(3))
    assert not allowance.ended


def test_what_does_not_fit_ends_the_run_also_for_what_would_fit() -> None:
    allowance = Allowance(Caps(max_bytes=100))
    assert [allowance.take(weight) for weight in (60, 40)] == [True, True]
    assert not allowance.ended
    assert not allowance.take(1)
    assert allowance.ended == "--max-bytes of 100 reached"
    again = Allowance(Caps(max_bytes=100))
    assert [again.take(weight) for weight in (60, 41, 1)] == [True, False, False]


def test_after_the_time_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = iter([0.0, 9.9, 10.0, 0.0])
    monkeypatch.setattr(limits.clock, "stopwatch", lambda: lambda: next(passed))
    allowance = Allowance(Caps(max_duration=10))
    assert [allowance.take(1) for _ in range(4)] == [True, True, False, False]
    assert allowance.ended == "--max-duration of 10 s reached"


# the pace


def test_within_any_second_no_more_than_the_rate_begin() -> None:
    async def story() -> list[float]:
        turns, loop = [Turns(pace) for pace in [Pace(5)] * 3], asyncio.get_running_loop()
        began: list[float] = []

        async def publisher(number: int) -> None:
            for step in range(12):
                await turns[number].wait()
                began.append(loop.time())
                await asyncio.sleep(0.05 * step * number)

        await asyncio.gather(*map(publisher, range(3)))
        return began

    began = virtual(story())
    assert began == sorted(began)
    assert len(began) == 36
    assert all(later - first >= 1.0 - 1e-9 for first, later in zip(began, began[5:], strict=False))
    assert began[4] == 0.0, "a burst below the rate need not wait"
    assert began[-1] < 10, "it waits no longer than it must"


def test_without_a_rate_nothing_waits() -> None:
    async def story() -> float:
        turns = Turns(Pace())
        for _ in range(1000):
            await turns.wait()
        return turns.held

    assert virtual(story()) == 0.0


def test_waits_side_by_side_are_held_time_once() -> None:
    async def story() -> float:
        turns = Turns(Pace(2))
        await asyncio.gather(*(turns.wait() for _ in range(6)))
        assert asyncio.get_running_loop().time() == pytest.approx(2.0)
        await asyncio.sleep(5)
        await asyncio.gather(*(turns.wait() for _ in range(3)))
        return turns.held

    assert virtual(story()) == pytest.approx(3.0)


def test_what_is_held_up_is_not_late() -> None:
    async def story() -> tuple[bool, bool]:
        loop, held = asyncio.get_running_loop(), 0.0
        work = asyncio.ensure_future(asyncio.sleep(3))

        def longer() -> None:
            nonlocal held
            held = 2.5

        loop.call_later(0.9, longer)
        await wait_for_all([work], 1, lambda: held)
        late = asyncio.ensure_future(asyncio.sleep(5))
        await wait_for_all([late], 1, lambda: held)
        return work.cancelled(), late.cancelled()

    assert virtual(story()) == (False, True)


def test_who_waits_for_all_and_is_cancelled_cancels_all() -> None:
    async def story() -> bool:
        work = asyncio.ensure_future(asyncio.sleep(100))
        waiting = asyncio.ensure_future(wait_for_all([work], 50))
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return work.cancelled()

    assert virtual(story())
