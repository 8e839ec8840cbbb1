"""Pairs of hand-outs in the wrong order, found in one sweep.

Across sessions the recorded order of two hand-outs is certain only if the first was recorded before the
next.invoke that returned the second: before that, both can have been on their way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter, lt

from eventproof.conformance.history.entities import Call, Copy, Delivery, Group

Pair = tuple[Delivery, Delivery]

_at = itemgetter(0)


class Maxima:
    """The greatest value so far, and before any earlier moment, with the delivery that has it."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, int, Delivery]] = []

    def add(self, moment: int, value: int, delivery: Delivery) -> None:
        """Moments must not fall."""
        if not self._steps or value > self._steps[-1][1]:
            self._steps.append((moment, value, delivery))

    def before(self, moment: int) -> tuple[int, Delivery] | None:
        """The greatest value added at an earlier moment."""
        at = bisect_left(self._steps, moment, key=_at)
        return self._steps[at - 1][1:] if at else None


class Lane:
    """The first hand-outs of the events of a lane, in order, with the moments at which each call was invoked
    and confirmed beside them, so that the common case, no inversion, is one comparison an event."""

    __slots__ = ("confirmed", "deliveries", "invoked", "publishers")

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.invoked: list[int] = []
        self.confirmed: list[int] = []
        self.publishers: set[str] = set()

    def add(self, delivery: Delivery, call: Call) -> None:
        """Append a first hand-out."""
        self.deliveries.append(delivery)
        self.invoked.append(call.i)
        self.confirmed.append(call.confirmed)
        self.publishers.add(call.process)

    def __len__(self) -> int:
        return len(self.deliveries)


def lanes(group: Group) -> dict[str, Lane]:
    """The lanes of a group by key, those without a key left out."""
    found: defaultdict[str, Lane] = defaultdict(Lane)
    for key, copy, call in _firsts(group):
        if key:
            found[key].add(copy.deliveries[0], call)
    return found


def topic_lane(group: Group) -> Lane:
    """The group's whole topic as one lane."""
    lane, known = Lane(), set[str]()
    for _, copy, call in _firsts(group):
        if call.repeated:
            if call.invoke.event in known:
                continue
            known.add(call.invoke.event)
        lane.add(copy.deliveries[0], call)
    return lane


def _firsts(group: Group) -> Iterator[tuple[str, Copy, Call]]:
    """(key, copy, call) of the first copy of each event of each key, in the order of first hand-outs."""
    known: set[tuple[str, str]] = set()
    renamed = group.renamed
    for copy in group.copies:
        call, key = copy.call, copy.key
        if call is None:
            continue
        if call.repeated or renamed:
            event = (key, call.invoke.event)
            if event in known:
                continue
            known.add(event)
        yield key, copy, call


def following(lane: Lane) -> int:
    """How many of its events were published after another one was confirmed."""
    first = min(lane.confirmed, default=0)
    return sum(1 for invoked in lane.invoked if invoked > first)


def overlapping(lane: Lane) -> int:
    """How many of its events were published while an earlier one was not confirmed yet."""
    spans = sorted(zip(lane.invoked, lane.confirmed, strict=True))
    until = accumulate((confirmed for _, confirmed in spans), max)
    return sum(1 for end, (invoked, _) in zip(until, spans[1:], strict=False) if invoked < end)


def inversions(lane: Lane, until: Sequence[int]) -> Iterator[Pair]:
    """For each m1 of the lane, one m2 surely handed out before it though until(m1) < invoked(m2), if any."""
    highest = accumulate(lane.invoked, max)
    if any(map(lt, until[1:], highest)):
        yield from _inversions(lane, until)


def _inversions(lane: Lane, until: Sequence[int]) -> Iterator[Pair]:
    everywhere, by_session = Maxima(), defaultdict[int, Maxima](Maxima)
    for late, bound, invoked in zip(lane.deliveries, until, lane.invoked, strict=True):
        own = by_session[late.session.number]
        found = [
            best
            for best in (everywhere.before(late.asked.i), own.before(late.i))
            if best is not None and best[0] > bound
        ]
        if found:
            yield late, max(found, key=_at)[1]
        everywhere.add(late.i, invoked, late)
        own.add(late.i, invoked, late)


def disagreements(
    one: dict[Hashable, Delivery], other: dict[Hashable, Delivery], names: Iterable[Hashable]
) -> Iterator[tuple[Pair, Pair]]:
    """For each y surely handed out after some x in `other`, but surely before it in `one`: ((y, x) as in
    `one`, (x, y) as in `other`). `names`: what both groups were handed, in the order of `other`."""
    seen = list(names)
    high = -1
    for name in seen:
        if one[name].i < high:
            yield from _disagreements(one, other, seen)
            return
        high = one[name].i


def _disagreements(
    one: dict[Hashable, Delivery], other: dict[Hashable, Delivery], names: list[Hashable]
) -> Iterator[tuple[Pair, Pair]]:
    """x is surely later than y in `one` if y was recorded before x was asked for, or both came in one
    session and y first; the four maxima hold both certainties for both groups."""
    maxima = defaultdict[tuple[int, int], Maxima](Maxima)
    back = {delivery.i: name for name, delivery in one.items()}
    for name in names:
        y1, y2 = one[name], other[name]
        s1, s2 = y1.session.number, y2.session.number
        found = [
            best
            for best in (
                maxima[0, 0].before(y2.asked.i),
                maxima[0, s2].before(y2.i),
                maxima[s1, 0].before(y2.asked.i),
                maxima[s1, s2].before(y2.i),
            )
            if best is not None and best[0] > y1.i
        ]
        if found:
            x1 = max(found, key=_at)[1]
            yield (y1, x1), (other[back[x1.i]], y2)
        for sessions, value in (
            ((0, 0), y1.asked.i),
            ((0, s2), y1.asked.i),
            ((s1, 0), y1.i),
            ((s1, s2), y1.i),
        ):
            maxima[sessions].add(y2.i, value, y1)
