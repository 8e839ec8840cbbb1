"""Events of a partition that nobody has: those that are due, and those that wait for their time."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from eventproof.adapters.kafka.slot import Slot, State


class Queue:
    """Of those put in, only the QUEUED ones count by then.

    Those that were never attempted come in the order of their offsets, those that are retried too, and the
    two kinds take turns: neither holds the other back (RED-006). One that was never attempted begins: a
    member that leaves after its first event and joins again would get the failing one each time.
    """

    def __init__(self) -> None:
        self._fresh: list[Slot] = []
        self._retried: list[Slot] = []
        self._waiting: list[tuple[float, Slot]] = []
        self._turns = (self._fresh, self._retried)

    def put(self, slot: Slot, now: float) -> None:
        """Nothing happens to one that somebody has."""
        if slot.state is not State.QUEUED:
            return
        if slot.due > now:
            heapq.heappush(self._waiting, (slot.due, slot))
        else:
            self._add(slot)

    def wake(self, now: float) -> None:
        """What waited for its time until now is due."""
        while self._waiting and self._waiting[0][0] <= now:
            due, slot = heapq.heappop(self._waiting)
            if slot.state is State.QUEUED and slot.due == due:
                self._add(slot)

    @property
    def next_due(self) -> float | None:
        """When the next of those that wait is due."""
        return self._waiting[0][0] if self._waiting else None

    def first(self, fits: Callable[[Slot], bool]) -> Slot | None:
        """The next one of those that were due at the last `wake`, if it fits; it is the first of its kind."""
        for ready in self._turns:
            while ready and ready[0].state is not State.QUEUED:
                heapq.heappop(ready)
            if ready and fits(ready[0]):
                return ready[0]
        return None

    def take(self, slot: Slot) -> None:
        """Take out what `first` gave; it is the other kind's turn."""
        first, second = self._turns
        taken, other = (first, second) if first and first[0] is slot else (second, first)
        heapq.heappop(taken)
        self._turns = (other, taken)

    def _add(self, slot: Slot) -> None:
        heapq.heappush(self._retried if slot.attempt else self._fresh, slot)
