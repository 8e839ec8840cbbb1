"""What befalls a broker meets all scenarios of a batch, is recorded by each, and is over in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from eventproof.adapters.errors import EventproofError, Unreachable
from eventproof.conformance.execution.recovery import Recovery, broker_faults
from eventproof.conformance.execution.weather import Weather
from eventproof.conformance.history.recorder import Recorder
from eventproof.conformance.scenario import Fault
from eventproof.conformance.targets.facilities import Facilities, facilities
from tests.conformance.execution.simulated import virtually

TICK = 10.0
KILL, FREEZE, RESTART = (Fault(do=do, ticks=3) for do in ("kill", "freeze", "restart"))


class NeverBack(EventproofError):
    """The broker does not come back."""


class Target:
    """Writes down what is done to it, and when."""

    tick = TICK

    def __init__(self) -> None:
        self.done: list[tuple[str, float]] = []
        self.back = True

    def _did(self, what: str) -> None:
        self.done.append((what, asyncio.get_running_loop().time()))

    def kill(self) -> None:
        self._did("kill")

    async def revive(self) -> None:
        if not self.back:
            raise NeverBack("no luck")
        self._did("revive")

    def freeze(self) -> None:
        self._did("freeze")

    def thaw(self) -> None:
        self._did("thaw")

    async def restart(self) -> None:
        self._did("restart")


def weather(target: Target | None = None, awaited: int = 0) -> Weather:
    return Weather(Recovery(facilities(target or Target())), awaited)


def kinds(record: Recorder) -> list[str]:
    return [one.kind for one in record.records]


# how a broker is struck, and comes back


@pytest.mark.parametrize(
    ("fault", "done", "recorded"),
    [
        (KILL, [("kill", 0.0), ("revive", 30.0)], ["broker.killed", "broker.ready"]),
        (Fault(ticks=0), [("kill", 0.0), ("revive", 0.0)], ["broker.killed", "broker.ready"]),
        (Fault(), [("kill", 0.0), ("revive", 20.0)], ["broker.killed", "broker.ready"]),
        (FREEZE, [("freeze", 0.0), ("thaw", 30.0)], ["broker.paused", "broker.resumed"]),
        (RESTART, [("restart", 0.0)], ["broker.stopped", "broker.ready"]),
    ],
    ids=["kill", "kill-at-once", "kill-by-default", "freeze", "restart"],
)
def test_a_fault_is_done_and_undone_and_recorded_by_every_run(
    fault: Fault, done: list[tuple[str, float]], recorded: list[str]
) -> None:
    async def work() -> None:
        target = Target()
        on, records = weather(target, 2), (Recorder(), Recorder())
        for record in records:
            on.join(record)
        on.strike(fault)
        assert [kinds(record) for record in records] == [recorded[:1]] * 2, "only what happened at once"
        await on.end()
        assert target.done == done
        assert [kinds(record) for record in records] == [recorded] * 2

    virtually(work)


def test_a_run_that_has_left_records_nothing_more() -> None:
    async def work() -> None:
        on, stays, leaves = weather(awaited=2), Recorder(), Recorder()
        on.join(stays)
        on.join(leaves)
        on.strike(KILL)
        on.leave(leaves, began=True)
        await on.end()
        assert (len(stays.records), len(leaves.records)) == (2, 1)

    virtually(work)


def test_nothing_strikes_while_an_earlier_fault_is_not_over() -> None:
    async def work() -> None:
        target = Target()
        on = weather(target, 1)
        on.strike(KILL)
        on.strike(FREEZE)
        await asyncio.sleep(2 * TICK)
        on.strike(RESTART)
        await on.calm()
        assert [what for what, _ in target.done] == ["kill", "revive"]
        assert on.strikes == 1
        on.strike(RESTART)
        await on.end()
        assert [what for what, _ in target.done] == ["kill", "revive", "restart"]
        assert on.strikes == 2

    virtually(work)


def test_without_a_fault_nobody_waits_for_anybody() -> None:
    async def work() -> None:
        on = weather()
        await on.ready()
        await on.calm()
        await on.over()
        assert asyncio.get_running_loop().time() == 0

    virtually(work)


# who waits for whom


async def waits(work: Awaitable[None]) -> bool:
    """Whether it does not end by itself, for as long as one looks."""
    done, late = await asyncio.wait({asyncio.ensure_future(work)}, timeout=1000)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return not done


def test_traffic_begins_once_all_are_there() -> None:
    async def work() -> None:
        on = weather(awaited=3)
        first, second = (asyncio.ensure_future(on.ready()) for _ in range(2))
        assert await asyncio.wait({first, second}, timeout=1000) == (set(), {first, second})
        await on.ready()
        await asyncio.gather(first, second)

    virtually(work)


def test_a_run_that_breaks_before_its_traffic_leaves_the_others_free() -> None:
    async def work() -> None:
        on, broken = weather(awaited=2), Recorder()
        on.join(broken)
        waiting = asyncio.ensure_future(on.ready())
        assert await asyncio.wait({waiting}, timeout=1000) == (set(), {waiting})
        on.leave(broken, began=False)
        await waiting

    virtually(work)


def test_a_run_that_breaks_in_its_traffic_is_not_counted_twice() -> None:
    async def work() -> None:
        on, broken = weather(awaited=3), Recorder()
        on.join(broken)
        began = asyncio.ensure_future(on.ready())
        await asyncio.sleep(0)
        on.leave(broken, began=True)
        assert await waits(on.ready()), "one is missing still"
        began.cancel()
        await asyncio.gather(began, return_exceptions=True)

    virtually(work)


def test_it_is_over_when_the_lead_has_no_fault_left_and_the_broker_is_back() -> None:
    async def work() -> None:
        on = weather(awaited=1)
        assert await waits(on.over()), "a fault may still come"
        on.strike(KILL)
        await asyncio.gather(on.end(), on.over())
        assert asyncio.get_running_loop().time() == 1000 + 3 * TICK

    virtually(work)


# a broker that does not come back


def test_a_recovery_that_fails_is_told_to_all_who_wait_for_it() -> None:
    async def work() -> None:
        target = Target()
        target.back = False
        on = weather(target, 1)
        on.strike(KILL)
        over = asyncio.ensure_future(on.over())
        for waiting in (on.calm(), on.end(), over, on.told(broken)):
            with pytest.raises((NeverBack, Unreachable)):
                await waiting

    async def broken() -> None:
        raise Unreachable("there is no broker")

    virtually(work)


def test_who_gives_up_waiting_does_not_keep_the_broker_from_coming_back() -> None:
    async def work() -> None:
        target = Target()
        on = weather(target, 1)
        on.strike(KILL)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(on.calm(), TICK)
        await on.calm()
        assert target.done == [("kill", 0.0), ("revive", 30.0)]

    virtually(work)


# what a broker tells


def asked(on: Weather, *answers: Any) -> Callable[[], Awaitable[Any]]:
    """Gives one answer after the other; raises it if it is an error, does it first if it can be called."""
    left = list(answers)

    async def ask() -> Any:
        answer = left.pop(0)
        answer = answer() if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


def test_a_broker_tells_what_it_is_asked_also_after_a_fault() -> None:
    async def work() -> None:
        on = weather(awaited=1)
        assert await on.told(asked(on, 7)) == 7
        on.strike(KILL)
        assert await on.told(asked(on, 8)) == 8
        await on.end()
        assert await on.told(asked(on, 9)) == 9

    virtually(work)


def test_an_error_without_a_fault_is_an_error() -> None:
    async def work() -> None:
        on = weather(awaited=1)
        with pytest.raises(Unreachable):
            await on.told(asked(on, Unreachable("gone")))
        on.strike(KILL)
        await on.calm()
        with pytest.raises(Unreachable):
            await on.told(asked(on, Unreachable("gone")))
        await on.end()

    virtually(work)


@pytest.mark.parametrize("fault", [KILL, FREEZE, RESTART], ids=lambda fault: fault.do)
def test_what_a_fault_keeps_a_broker_from_telling_is_none_once_it_is_back(fault: Fault) -> None:
    async def work() -> None:
        target = Target()
        on = weather(target, 1)

        def struck_meanwhile() -> Exception:
            on.strike(fault)
            return Unreachable("gone")

        assert await on.told(asked(on, struck_meanwhile)) is None
        assert len(target.done) == (1 if fault is RESTART else 2)
        await on.end()

    virtually(work)


def test_a_mistake_of_the_target_is_no_fault() -> None:
    async def work() -> None:
        on = weather(awaited=1)
        on.strike(KILL)
        with pytest.raises(ZeroDivisionError):
            await on.told(asked(on, ZeroDivisionError()))
        await on.end()

    virtually(work)


# what a target can


@pytest.mark.parametrize(
    ("offered", "found"),
    [
        ((), set()),
        (("kill",), set()),
        (("revive", "thaw", "freeze"), {"broker-pause", "in-flight"}),
        (("kill", "revive"), {"broker-kill", "in-flight"}),
        (("restart",), {"broker-restart", "in-flight"}),
        (
            ("kill", "revive", "freeze", "thaw", "restart"),
            {"broker-kill", "broker-pause", "broker-restart", "in-flight"},
        ),
    ],
    ids=lambda one: "-".join(sorted(one)) or "nothing",
)
def test_a_target_can_bring_upon_its_broker_what_it_can_also_end(
    offered: tuple[str, ...], found: set[str]
) -> None:
    target = Target()
    can: Facilities = facilities(type("Some", (), {name: getattr(target, name) for name in offered})())
    assert broker_faults(can) == found
