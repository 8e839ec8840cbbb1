"""A consumer that faults befall: what is recorded of it, what ends with it, and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eventproof.conformance.execution.life import Life
from eventproof.conformance.execution.run import Run
from eventproof.conformance.history.recorder import Recorder
from eventproof.conformance.scenario import Fault
from tests.conformance.execution.simulated import virtually

TICK = 10.0
KILL, AGAIN, FREEZE = Fault(group=0), Fault(group=0, ticks=2), Fault(do="freeze", group=0, ticks=3)


class Body:
    """Writes down what is done to it. last: what it still says when it was killed."""

    def __init__(self, last: Callable[[], None] = lambda: None) -> None:
        self.done: list[tuple[str, float]] = []
        self._last = last

    def _did(self, what: str) -> None:
        self.done.append((what, asyncio.get_running_loop().time()))

    def kill(self) -> None:
        self._did("kill")

    def freeze(self) -> None:
        self._did("freeze")

    def thaw(self) -> None:
        self._did("thaw")

    async def ended(self) -> None:
        await asyncio.sleep(1)
        self._last()


class Lived:
    """A life, its body and its records."""

    def __init__(self, last: Callable[[], None] = lambda: None) -> None:
        self.record = Recorder()
        self.body = Body(last)
        run = SimpleNamespace(record=self.record, site=SimpleNamespace(tick=TICK))
        self.life = Life("g0-c0", self.body, cast("Run", run))

    @property
    def recorded(self) -> list[tuple[str, float]]:
        assert {one.process for one in self.record.records} <= {"g0-c0"}
        return [(one.kind, one.t / 1e9) for one in self.record.records]


def later(seconds: float, act: Callable[[], Any]) -> None:
    asyncio.get_running_loop().call_later(seconds, act)


async def forever() -> None:
    await asyncio.Event().wait()


def test_a_life_that_nothing_befalls_ends_with_its_work() -> None:
    async def work() -> None:
        lived = Lived()
        await lived.life.spend(asyncio.sleep(5), ())
        assert (lived.life.dead, lived.life.again, lived.recorded, lived.body.done) == (False, None, [], [])

    virtually(work)


@pytest.mark.parametrize(("fault", "again"), [(KILL, None), (AGAIN, 2)], ids=["for-good", "for-a-while"])
def test_a_kill_is_recorded_when_it_is_sent_and_when_its_last_words_were_heard(
    fault: Fault, again: int | None
) -> None:
    async def work() -> None:
        lived = Lived(lambda: lived.record("ack.ok", process="g0-c0", delivery=1))
        later(5, lambda: lived.life.strike(fault))
        await lived.life.spend(forever(), ())
        assert lived.body.done == [("kill", 5.0)]
        assert lived.recorded == [("consumer.killing", 5.0), ("ack.ok", 6.0), ("consumer.killed", 6.0)]
        assert (lived.life.dead, lived.life.again) == (True, again)

    virtually(work)


def test_a_kill_while_the_work_ends_by_it_is_recorded_all_the_same() -> None:
    async def work() -> None:
        lived = Lived()
        broke = asyncio.Event()
        later(5, lambda: (lived.life.strike(KILL), broke.set()))
        await lived.life.spend(cast("Any", broke.wait()), ())
        assert lived.recorded == [("consumer.killing", 5.0), ("consumer.killed", 6.0)]

    virtually(work)


def test_the_dead_handle_nothing_any_more_and_the_living_go_on() -> None:
    async def work() -> None:
        for fault in (KILL, FREEZE):
            lived, handler = Lived(), asyncio.ensure_future(forever())
            lived.life.strike(fault)
            await lived.life.spend(asyncio.sleep(100), {handler})
            assert handler.cancelled() == (fault is KILL)
            handler.cancel()
            await asyncio.gather(handler, return_exceptions=True)

    virtually(work)


def test_a_body_that_died_by_itself_is_an_error_and_not_a_kill() -> None:
    class Died(Exception):
        """It ended before it was killed."""

    def died() -> None:
        raise Died

    async def work() -> None:
        lived = Lived(died)
        later(5, lambda: lived.life.strike(KILL))
        with pytest.raises(Died):
            await lived.life.spend(forever(), ())
        assert lived.recorded == [("consumer.killing", 5.0)]

    virtually(work)


def test_what_its_work_raises_is_raised() -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            await Lived().life.spend(fails(), ())

    virtually(work)


def test_a_freeze_holds_up_what_waits_for_it_to_be_awake() -> None:
    async def work() -> None:
        lived = Lived()
        woke: list[float] = []

        async def handles() -> None:
            await lived.life.awake()
            woke.append(asyncio.get_running_loop().time())
            lived.life.strike(FREEZE)
            await lived.life.awake()
            woke.append(asyncio.get_running_loop().time())

        await lived.life.spend(handles(), ())
        assert woke == [0.0, 30.0]
        assert lived.body.done == [("freeze", 0.0), ("thaw", 30.0)]
        assert lived.recorded == [("consumer.paused", 0.0), ("consumer.resumed", 30.0)]
        assert (lived.life.dead, lived.life.again) == (False, None)

    virtually(work)


@pytest.mark.parametrize("second", [KILL, FREEZE], ids=["kill", "freeze"])
@pytest.mark.parametrize("first", [KILL, FREEZE], ids=["killed", "frozen"])
def test_nothing_befalls_the_dead_and_the_frozen(first: Fault, second: Fault) -> None:
    async def work() -> None:
        lived = Lived()
        lived.life.strike(first)
        lived.life.strike(second)
        await lived.life.spend(asyncio.sleep(100), ())
        assert len(lived.body.done) == (1 if first is KILL else 2)
        assert len(lived.recorded) == 2
        assert lived.life.dead == (first is KILL)

    virtually(work)


def test_who_was_frozen_can_be_killed_later() -> None:
    async def work() -> None:
        lived = Lived()
        lived.life.strike(FREEZE)
        later(31, lambda: lived.life.strike(AGAIN))
        await lived.life.spend(forever(), ())
        assert [kind for kind, _ in lived.recorded] == [
            "consumer.paused", "consumer.resumed", "consumer.killing", "consumer.killed",
        ]  # fmt: skip
        assert lived.life.again == 2

    virtually(work)


def test_a_freeze_that_outlasts_the_work_is_waited_for() -> None:
    async def work() -> None:
        lived = Lived()
        lived.life.strike(FREEZE)
        await lived.life.spend(asyncio.sleep(5), ())
        assert lived.body.done == [("freeze", 0.0), ("thaw", 30.0)]

    virtually(work)


def test_a_freeze_that_outlasts_the_end_ends_with_it() -> None:
    async def work() -> None:
        lived = Lived()
        lived.life.strike(FREEZE)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(lived.life.spend(forever(), ()), 5)
        assert lived.body.done == [("freeze", 0.0), ("thaw", 5.0)], "it cannot leave while it stands still"
        assert lived.recorded == [("consumer.paused", 0.0), ("consumer.resumed", 5.0)]

    virtually(work)
