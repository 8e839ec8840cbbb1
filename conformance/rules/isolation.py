"""E8: a failing event holds back its own lane only."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import NamedTuple

from eventproof.conformance.history.entities import NEVER, Call, Copy, Delivery, Group
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.owed import owed_calls
from eventproof.conformance.rules.rule import Tally, rule

FAILING = 3


class Waiting(NamedTuple):
    """An owed event that could have been handed out from moment `ready`, and first was at moment `handed`."""

    ready: int
    handed: int
    lane: str
    call: Call


class Blocked(NamedTuple):
    """Two more attempts of a failing copy, each returned by a next that had been open longer than slack."""

    copy: Copy
    first: Delivery
    second: Delivery


def _poison(index: Index, tally: Tally) -> None:
    """An owed event of another lane was ready, its own lane free, but two more attempts of a failing event
    were handed out before it, each to a next that had waited for longer than the slack with the event ready.
    Lanes are keys or partitions, as isolation is claimed, else partitions; under `topic` nothing is judged.
    Exercised: failing events with two more attempts around which another lane had an owed event."""
    if index.claims.isolation == "topic":
        return
    for group in index.groups.values():
        failing = [block for copy in group.copies for block in _blocks(index, copy)]
        if failing:
            _judge_group(index, tally, group, failing)


def _blocks(index: Index, copy: Copy) -> list[Blocked]:
    if len(copy.deliveries) < FAILING:
        return []
    later = [d for d in copy.deliveries[1:] if d.t - d.asked.t > index.slack_over(d.asked.t, d.t)]
    return [Blocked(copy, first, second) for first, second in pairwise(later)]


def _judge_group(index: Index, tally: Tally, group: Group, failing: list[Blocked]) -> None:
    waiting = _waiting(index, group)
    readies = [w.ready for w in waiting]
    best = _latest_handed(waiting)
    blamed: set[int] = set()
    for copy, first, second in failing:
        own = _lane(index, copy.call, copy.first.record.partition) if copy.call is not None else ""
        found = _other(best, bisect_left(readies, second.i), own) if own else None
        if found is None or id(copy) in blamed or found.handed < copy.first.i:
            continue
        tally.exercised += 1
        held = _other(best, bisect_left(readies, first.asked.i), own)
        if held is not None and held.handed > second.i:
            blamed.add(id(copy))
            tally.violate(
                f"Call {held.call.number} waited in group {group.name} while {copy.name}, of another lane,"
                " was attempted twice more.",
                (held.call.i, copy.first.i, first.asked.i, first.i, second.asked.i, second.i),
                (*copy.calls, held.call.number),
                group,
            )


Best = list[tuple[Waiting, "Waiting | None"]]


def _latest_handed(waiting: list[Waiting]) -> Best:
    """For each prefix the event that was handed out last, and the last one of any other lane."""
    best: Best = []
    for event in waiting:
        top, second = best[-1] if best else (event, None)
        if event.handed > top.handed:
            second = top if top.lane != event.lane else second
            top = event
        elif event.lane != top.lane and (second is None or event.handed > second.handed):
            second = event
        best.append((top, second))
    return best


def _other(best: Best, count: int, lane: str) -> Waiting | None:
    """Of the first `count` events, the one of another lane that was handed out last."""
    if not count:
        return None
    top, second = best[count - 1]
    return top if top.lane != lane else second


def _waiting(index: Index, group: Group) -> list[Waiting]:
    """Owed events by the moment from which nothing in their own lane held them back."""
    busy: dict[str, int] = {}
    found: list[Waiting] = []
    undelivered: list[tuple[str, Call]] = []
    arrived: list[tuple[int, str, Call, Copy]] = []
    for call in owed_calls(index, group):
        copy = group.delivered(call.number)
        partition = copy.first.record.partition if copy is not None else _partition(call)
        lane = _lane(index, call, partition)
        if not lane or call.outcome != "ok" or call.done is None:
            continue
        if copy is None:
            undelivered.append((lane, call))
        else:
            arrived.append((copy.first.i, lane, call, copy))
    for handed, lane, call, copy in sorted(arrived, key=lambda a: a[0]):
        found.append(Waiting(max(call.confirmed, busy.get(lane, 0)), handed, lane, call))
        busy[lane] = max(busy.get(lane, 0), copy.closed)
    found += [Waiting(max(c.confirmed, busy.get(lane, 0)), NEVER, lane, c) for lane, c in undelivered]
    return sorted((w for w in found if w.ready < NEVER), key=lambda w: w.ready)


def _partition(call: Call) -> int:
    return call.done.partition if call.done is not None else -1


def _lane(index: Index, call: Call | None, partition: int) -> str:
    """The lane of a call: "" if unknown. An event without a key is a lane of its own."""
    if call is None:
        return ""
    if index.claims.isolation == "key":
        return f"key {call.invoke.key}" if call.invoke.key else f"call {call.number}"
    return f"partition {partition}" if partition >= 0 else ""


POISON = rule("E8", "poison blocks", _poison)
