"""Faults are due as the history says: by kind, by count, by whose records they are, some turns later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_args

import pytest

from eventproof.conformance.execution.triggers import Triggers, after_turns
from eventproof.conformance.history.record import Record
from eventproof.conformance.scenario import Fault, Moment

MOMENTS = get_args(Moment)
BROKER, MINE, ANOTHER = "", "g0-c0", "g0-c1"


class Seen:
    """Triggers, what they struck, and the records that a test lets them see."""

    def __init__(self, *faults: tuple[Fault, str]) -> None:
        self.struck: list[tuple[Fault, str]] = []
        self.triggers = Triggers(faults, lambda fault, process: self.struck.append((fault, process)))

    def __call__(self, kind: str, **fields: Any) -> int:
        """See a record; how many faults have struck by then."""
        self.triggers.see(Record(i=1, t=0, kind=kind, **fields))
        return len(self.struck)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_fault_waits_for_its_own_kind_of_record(moment: Moment) -> None:
    fault = Fault(after=moment)
    seen = Seen((fault, BROKER))
    for other in {*MOMENTS, "ack.rejected", "publish.rejected", "nack.invoke", "probe"} - {moment}:
        assert seen(other) == 0
    assert seen(moment) == 1
    assert seen.struck == [(fault, BROKER)]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_fault_strikes_with_the_record_that_fills_its_count_and_never_again(count: int) -> None:
    seen = Seen((Fault(after="publish.ok", count=count), BROKER))
    assert [seen("publish.ok") for _ in range(count + 3)] == [0] * (count - 1) + [1] * 4


def test_several_faults_count_by_themselves_and_may_strike_at_one_record() -> None:
    first, second, third = (Fault(after="deliver", count=n) for n in (2, 2, 3))
    seen = Seen((first, BROKER), (second, MINE), (third, BROKER))
    assert [seen("deliver", process=MINE, delivery=n) for n in (1, 2, 3)] == [0, 2, 3]
    assert seen.struck == [(first, BROKER), (second, MINE), (third, BROKER)]


# whose records they are


@pytest.mark.parametrize("moment", ["ack.invoke", "ack.ok", "nack.ok"])
def test_a_consumers_fault_counts_what_it_does_with_its_own_deliveries(moment: Moment) -> None:
    seen = Seen((Fault(group=0, after=moment), MINE))
    seen("deliver", process=MINE, delivery=1)
    seen("deliver", process=ANOTHER, delivery=2)
    assert seen(moment, delivery=2) == 0
    assert seen(moment, delivery=3) == 0, "a delivery that nobody was handed"
    assert seen(moment, delivery=1) == 1


def test_a_consumers_fault_counts_its_own_deliveries() -> None:
    seen = Seen((Fault(group=0, after="deliver", count=2), MINE))
    owners = (MINE, ANOTHER, ANOTHER, MINE)
    assert [seen("deliver", process=who, delivery=n) for n, who in enumerate(owners, 1)] == [0, 0, 0, 1]


def test_a_brokers_fault_counts_the_records_of_all() -> None:
    seen = Seen((Fault(after="deliver", count=2), BROKER))
    assert [seen("deliver", process=who, delivery=n) for n, who in enumerate((MINE, ANOTHER), 1)] == [0, 1]


# turns


def turned(turns: int, meanwhile: Callable[[Seen, int], None] = lambda seen, turn: None) -> list[int]:
    """How many faults have struck at the record, and after each of the turns that follow."""

    async def work() -> list[int]:
        seen = Seen((Fault(after="publish.invoke", turns=turns), BROKER))
        found = [seen("publish.invoke")]
        for turn in range(turns + 2):
            meanwhile(seen, turn)
            await asyncio.sleep(0)
            found.append(len(seen.struck))
        return found

    return asyncio.run(work())


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_a_fault_strikes_so_many_turns_after_its_record(turns: int) -> None:
    assert turned(turns) == [0] * turns + [1] * 3


def test_what_the_record_began_is_under_way_when_the_fault_strikes() -> None:
    async def work() -> list[str]:
        order: list[str] = []

        async def call() -> None:
            order.append("begun")
            await asyncio.sleep(0)
            order.append("done")

        begun = asyncio.ensure_future(call())
        after_turns(1, lambda: order.append("struck"))
        await begun
        return order

    assert asyncio.run(work()) == ["begun", "struck", "done"]


# the end


def test_nothing_strikes_after_it_was_disarmed() -> None:
    seen = Seen((Fault(after="deliver"), BROKER), (Fault(group=0, after="deliver"), MINE))
    seen.triggers.disarm()
    assert seen("deliver", process=MINE, delivery=1) == 0


def test_a_fault_that_is_some_turns_away_is_disarmed_too() -> None:
    assert turned(3, lambda seen, turn: seen.triggers.disarm() if turn == 1 else None) == [0] * 6
