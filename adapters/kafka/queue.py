"""Events of a partition that nobody has: those that are due, and those that wait for their time."""

from __future__ import annotations

import heapq

from eventproof.adapters.kafka.slot import Slot, State


class Queue:
    """Due ones come in the order of their offsets. Of those put in, only the QUEUED ones count by then."""

    def __init__(self) -> None:
        self._ready: list[Slot] = []
        self._waiting: list[tuple[float, Slot]] = []

    def put(self, slot: Slot, now: float) -> None:
        """Nothing happens to one that somebody has."""
        if slot.state is not State.QUEUED:
            return
        if slot.due > now:
            heapq.heappush(self._waiting, (slot.due, slot))
        else:
            heapq.heappush(self._ready, slot)

    def wake(self, now: float) -> None:
        """What waited for its time until now is due."""
        while self._waiting and self._waiting[0][0] <= now:
            due, slot = heapq.heappop(self._waiting)
            if slot.state is State.QUEUED and slot.due == due:
                heapq.heappush(self._ready, slot)

    @property
    def next_due(self) -> float | None:
        """When the next of those that wait is due."""
        return self._waiting[0][0] if self._waiting else None

    @property
    def first(self) -> Slot | None:
        """The first one that was due at the last `wake`."""
        while self._ready and self._ready[0].state is not State.QUEUED:
            heapq.heappop(self._ready)
        return self._ready[0] if self._ready else None

    def pop(self) -> Slot:
        """Take out the first one."""
        return heapq.heappop(self._ready)
