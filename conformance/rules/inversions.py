"""Pairs of hand-outs in the wrong order, found in one sweep.

Across sessions the recorded order of two hand-outs is certain only if the first was recorded before the
next.invoke that returned the second: before that, both can have been on their way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from operator import itemgetter

from eventproof.conformance.history.entities import Delivery

Moment = Callable[[Delivery], int]
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


def firsts(lane: Iterable[Delivery]) -> Iterator[Delivery]:
    """The first hand-out of each event of a lane, in order."""
    known: set[str] = set()
    for delivery in lane:
        copy = delivery.copy
        if copy.deliveries[0] is not delivery or copy.call is None:
            continue
        if copy.call.repeated:
            if copy.call.invoke.event in known:
                continue
            known.add(copy.call.invoke.event)
        yield delivery


def inversions(lane: Iterable[Delivery], until: Moment, since: Moment) -> Iterator[Pair]:
    """For each m1 of the lane, one m2 surely handed out before it though until(m1) < since(m2), if any.

    `lane` is in hand-out order. The common case, no inversion, costs one comparison an event.
    """
    seen = list(lane)
    high = -1
    for delivery in seen:
        if until(delivery) < high:
            yield from _inversions(seen, until, since)
            return
        high = max(high, since(delivery))


def _inversions(lane: list[Delivery], until: Moment, since: Moment) -> Iterator[Pair]:
    everywhere, by_session = Maxima(), defaultdict[int, Maxima](Maxima)
    for late in lane:
        found = [
            best
            for best in (everywhere.before(late.asked.i), by_session[late.session.number].before(late.i))
            if best is not None and best[0] > until(late)
        ]
        if found:
            yield late, max(found, key=_at)[1]
        value = since(late)
        everywhere.add(late.i, value, late)
        by_session[late.session.number].add(late.i, value, late)


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
        for sessions, value in (((0, 0), y1.asked.i), ((0, s2), y1.asked.i), ((s1, 0), y1.i), ((s1, s2), y1.i)):
            maxima[sessions].add(y2.i, value, y1)
