"""E8: a failing event holds back its own lane only."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from eventproof.conformance.history.entities import NEVER, Call, Copy, Delivery, Group, Session
from eventproof.conformance.history.faults import between
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.owed import owed_calls
from eventproof.conformance.history.settled import delay_asked, released
from eventproof.conformance.rules.rule import Tally, rule

FAILING = 3


class Waiting(NamedTuple):
    """An owed event that could have been handed out from moment `ready`, and first was at moment `handed`."""

    ready: int
    handed: int
    lane: str
    call: Call


class Blocked(NamedTuple):
    """Two more attempts of a failing copy, each after a pause, given to a next open longer than slack."""

    copy: Copy
    first: Delivery
    second: Delivery


def _poison(index: Index, tally: Tally) -> None:
    """An owed event of another lane was ready, its own lane free, but two more attempts of a failing event
    were handed out before it: each after the failing event had waited out a delay or lease longer than the
    slack, and to a next that had been open for longer than the slack with the event ready, and room for it
    in the session. Where members own partitions, each of the others had to be idle: it may own the event's.
    What waited while a fault befell the broker or a member is left out: that one may have had it.
    Lanes are keys or partitions, as isolation is claimed, else partitions; under `topic` nothing is judged.
    Exercised: failing events with two more attempts around which another lane had an owed event."""
    if index.claims.isolation == "topic":
        return
    rooms = Rooms(index)
    for group in index.groups.values():
        blocks = (block for copy in group.copies for block in _blocks(index, copy, rooms))
        failing = [one for one in blocks if index.claims.sharing == "events" or rooms.idle_beside(one)]
        if failing:
            _judge_group(index, tally, group, failing)


class Rooms:
    """How many deliveries each session may have held at a moment, by sorted starts and ends."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._known: dict[int, tuple[list[int], list[int]]] = {}

    def held(self, session: Session, at: int) -> int:
        """Deliveries handed out before the moment that had not surely ended by then."""
        if session.number not in self._known:
            ends = (max(d.i, min(d.copy.closed, released(self._index, d))) for d in session.deliveries)
            self._known[session.number] = [d.i for d in session.deliveries], sorted(ends)
        starts, ends_sorted = self._known[session.number]
        return bisect_right(starts, at) - bisect_right(ends_sorted, at)

    def idle_beside(self, block: Blocked) -> bool:
        """Whether the group's other sessions, from the first attempt's next to the second one, neither held
        anything nor came or went."""
        first, second = block.first.asked.i, block.second.i
        ours = {block.first.session, block.second.session}
        others = (s for s in block.copy.group.sessions if s not in ours)
        return all(
            s.ended < first
            or s.invoke.i > second
            or (s.done is not None and s.done.i < first and s.ended > second and self._idle(s, first, second))
            for s in others
        )

    def _idle(self, session: Session, first: int, second: int) -> bool:
        return not self.held(session, first) and not any(first < d.i < second for d in session.deliveries)


def _blocks(index: Index, copy: Copy, rooms: Rooms) -> list[Blocked]:
    if len(copy.deliveries) < FAILING:
        return []
    later = [
        again
        for number, (before, again) in enumerate(pairwise(copy.deliveries), 1)
        if _paused(index, before, again, number) and _waited(index, again, rooms)
    ]
    return [Blocked(copy, first, second) for first, second in pairwise(later)]


def _paused(index: Index, before: Delivery, again: Delivery, number: int) -> bool:
    """Whether a nack's delay or a lease that ran out kept the copy back in between for longer than the slack.
    Attempts that follow at once are a race with the other event, and prove nothing."""
    nack = next((a for a in before.acts if a.verb == "nack" and not a.refused), None)
    since, pause = before.t, before.copy.group.lease
    if nack is not None:
        since, pause = nack.invoke.t, delay_asked(before, nack.invoke, number)
    slack = index.slack_over(since, again.t)
    return pause > slack and again.t - since >= pause - slack


def _waited(index: Index, delivery: Delivery, rooms: Rooms) -> bool:
    """Whether its next was open for longer than slack while the session surely had room for another event."""
    if delivery.t - delivery.asked.t <= index.slack_over(delivery.asked.t, delivery.t):
        return False
    return rooms.held(delivery.session, delivery.asked.i) < delivery.copy.group.policy.max_in_flight


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
    """Owed events by the moment from which nothing in their own lane held them back. Whatever was handed out
    occupies its lane, owed or not, until it is surely settled; again where a fault undid that."""
    owed = {call.number: call for call in owed_calls(index, group) if call.outcome == "ok"}
    busy: dict[str, int] = {}
    began: dict[str, int] = {}
    found: list[Waiting] = []

    def waits(call: Call, lane: str, handed: int) -> None:
        free = max(busy.get(lane, 0), _undone(index, group, began.get(lane, handed), handed))
        found.append(Waiting(max(call.confirmed, free), handed, lane, call))

    spans = [(start, end, copy) for copy in group.copies for start, end in _spans(copy)]
    for start, end, copy in sorted(spans, key=lambda span: span[0]):
        lane = _lane(index, copy.call, copy.first.record.partition)
        if copy.call is not None and lane:
            if owed.pop(copy.call.number, None) is not None:
                waits(copy.call, lane, start)
            began.setdefault(lane, start)
            busy[lane] = max(busy.get(lane, 0), end)
    for call in owed.values():
        lane = _lane(index, call, _partition(call))
        if lane:
            waits(call, lane, NEVER)
    waited = (event for event in found if event.ready < NEVER and not _with_the_fallen(index, group, event))
    return sorted(waited, key=lambda event: event.ready)


def _spans(copy: Copy) -> Iterator[tuple[int, int]]:
    """From when to when the copy occupied its lane: handed out until settled, and if it came again after
    that, from then on."""
    yield copy.first.i, copy.closed
    again = [delivery for delivery in copy.deliveries if delivery.i > copy.closed]
    if again:
        acts = (act for delivery in again for act in delivery.acts if act.verb in {"ack", "reject"})
        yield again[0].i, min((act.ended for act in acts if not act.refused), default=NEVER)


def _undone(index: Index, group: Group, began: int, handed: int) -> int:
    """Until when a lane that was used since `began` may be occupied by what a broker holds again, as it
    forgot the ack in a fault before `handed`: for a lease from the end of the fault. 0 if it may not."""
    uncovered = index.faults.uncovered("acks")
    if not between(uncovered, began, handed):
        return 0
    ends = [o.until for o in index.faults.outages if began < o.i < handed and o.i in uncovered]
    until = max(ends) + group.lease
    until += index.slack_over(until - group.lease, until)
    return bisect_left(index.records, until, key=lambda record: record.t) + 1


def _with_the_fallen(index: Index, group: Group, event: Waiting) -> bool:
    """Whether a fault lay in its wait, counted from its publish: it may have been sent to a member that stood
    still or was killed, and stay with that until its lease is over."""
    if not index.faults.named:
        return False
    since, until = event.call.i, event.handed
    spans = (span for of_one in group.pauses.values() for span in of_one)
    if any(start < until and end > since for start, end in spans):
        return True
    processes = dict.fromkeys(session.process for session in group.sessions)
    return any(
        index.faults.lie(since, until, process) or index.faults.befell(since, until, process)
        for process in processes
    )


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
