"""What the owner of a partition knows of its group there: which events are due, out, waiting or settled.

It decides what may be handed out, and does no I/O. Times are `loop.time()`.

Its rules: of a key at most one event is out, the earliest one that is not settled. An attempt is counted
before the event is handed out: `reserve` counts it, a commit makes that durable, `next_confirmed` gives it
out. A repeat that nobody was handed is settled when its turn comes. Every change has a version; a commit of
version v tells of all changes up to v.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from eventproof.adapters.kafka.progress import SPAN, Progress, Touched, encode, fits
from eventproof.adapters.kafka.queue import Queue
from eventproof.adapters.kafka.ranges import Ranges
from eventproof.adapters.kafka.remarks import Remarks
from eventproof.adapters.kafka.seen import Copy, Seen
from eventproof.adapters.kafka.slot import Lane, Slot, State
from eventproof.adapters.kafka.terms import Terms

MILLISECONDS: Final = 1000


class Ledger:
    """One partition.

    offset: end of the contiguous settled prefix. position: offset of the next record to take in.
    version, confirmed: of the last change, and of the last one that a commit told of.
    exhausted: events that are due and have no attempt left, for the session to dead-letter.
    queued_bytes: of the records that were taken in and are not handed out.
    seen: what deduplication knows.
    """

    def __init__(self, state: Progress, terms: Terms) -> None:
        self.offset = self.position = state.offset
        self.seen = Seen(terms.window, state.history if state.history >= 0 else state.offset, state.remarks)
        self.version = self.confirmed = self.queued_bytes = self.ahead = 0
        self.exhausted: deque[Slot] = deque()
        self._terms = terms
        self._settled = Ranges(state.settled)
        self._found = dict(state.touched)
        self._touched: dict[int, Slot] = {}
        self._skipped: deque[Slot] = deque()
        self._last: Slot | None = None
        self._lanes: dict[str | bytes, Lane] = {}
        self._queue = Queue()
        self._reserved: deque[Slot] = deque()

    # what comes in

    def done(self, offset: int) -> bool:
        """Whether the record is settled, so that nobody needs to look at it."""
        return offset < self.offset or offset in self._settled

    def admit(
        self, offset: int, key: str | None, value: Any, size: int, now: float, copy: Copy | None = None
    ) -> None:
        """Take in an event, at `position` or behind it. One without a key waits for its own copies only."""
        lane = copy.identity if key is None and copy is not None else key
        slot = self._take_in(offset, lane, value, size, copy)
        if slot is not None and slot.lane.slots[0] is slot:
            self._queue.put(slot, now)

    def block(self, offset: int, key: str | None) -> None:
        """Take in a record that can be neither handed out nor settled: its key stops."""
        slot = self._take_in(offset, key, None, 0)
        if slot is not None:
            slot.state = State.OUT

    def skip(self, offset: int) -> None:
        """Take in a record that is nothing to the group; it is settled once there is room to tell of it."""
        slot = self._take_in(offset, None, None, 0)
        if slot is not None:
            self._skipped.append(slot)
            self._settle_skipped()

    def passed(self, offset: int) -> None:
        """There is no record from `position` to `offset`."""
        if offset <= self.position:
            return
        for gone in [known for known in self._found if known < offset]:
            del self._found[gone]
        if self._last is not None and self._last.state is not State.SETTLED:
            self._last.end = offset
        else:
            self._add(self.position, offset)
        self.position = offset

    def _take_in(
        self, offset: int, key: str | bytes | None, value: Any, size: int, copy: Copy | None = None
    ) -> Slot | None:
        """The slot of a record, at the end of its lane; None if it is settled."""
        found = self._found.pop(offset, None)
        self.passed(offset)
        if self.done(offset):
            self.passed(offset + 1)
            return None
        lane = None if key is None else self._lanes.get(key)
        if lane is None:
            lane = Lane(key)
            if key is not None:
                self._lanes[key] = lane
        slot = self._last = Slot(offset, lane, value, size, copy)
        lane.slots.append(slot)
        self.position = offset + 1
        self.queued_bytes += size
        if found is not None:
            slot.attempt = found.attempt
            slot.due = found.due / MILLISECONDS - self._terms.skew
            self._touched[offset] = slot
        return slot

    # what goes out

    def reserve(self, wanted: int, now: float) -> int:
        """Count an attempt of up to `wanted` events that are due, and settle the repeats that are due before
        them. How many were counted."""
        self._queue.wake(now)
        limit, reserved = self._terms.max_attempts, 0
        while reserved < wanted and (slot := self._queue.first(self._has_room)) is not None:
            self._queue.take(slot)
            if slot.attempt == 0 and slot.copy is not None and self.seen.repeats(slot.copy):
                self.settle(slot, now)
                continue
            if limit is not None and slot.attempt >= limit:
                self.give_up(slot)
                self.exhausted.append(slot)
                continue
            slot.attempt += 1
            self._reserve(slot, now)
            reserved += 1
        return reserved

    def next_confirmed(self, now: float) -> Slot | None:
        """The next event to hand out. One that waited too long is reserved again first."""
        while self._reserved and self._reserved[0].version <= self.confirmed:
            slot = self._reserved.popleft()
            if slot.state is not State.RESERVED:
                continue
            self.ahead -= 1
            if now - slot.since <= self._terms.hold:
                slot.state = State.OUT
                self.queued_bytes -= slot.size
                return slot
            self._reserve(slot, now)
        return None

    @property
    def next_due(self) -> float | None:
        """When the next of those that wait for their time is due."""
        return self._queue.next_due

    @property
    def has_ready(self) -> bool:
        """Whether something is due that may be reserved, as far as the last call of `reserve` saw."""
        return self._queue.first(self._has_room) is not None

    @property
    def retries_next(self) -> bool:
        """Whether the next one to hand out, or else to reserve, was attempted before."""
        first = next(self.reserved(), None) or self._queue.first(self._has_room)
        return first is not None and first.attempt > (first.state is State.RESERVED)

    # what comes of it

    def extend(self, slot: Slot, now: float) -> None:
        """The lease is renewed."""
        self.version += 1
        slot.due = now + self._terms.hold + self._terms.lease

    def settle(self, slot: Slot, now: float) -> None:
        """The event is done with; its key goes on."""
        self.version += 1
        if slot.state is not State.OUT:
            self.queued_bytes -= slot.size
        slot.state = State.SETTLED
        self._touched.pop(slot.offset, None)
        self._add(slot.offset, slot.end)
        if slot.lapsed:
            self.seen.lapse(slot.offset)
        elif slot.copy is not None:
            self.seen.settle(slot.copy)
        lane = slot.lane
        lane.slots.popleft()
        if lane.slots:
            self._queue.put(lane.slots[0], now)
        elif lane.key is not None:
            del self._lanes[lane.key]
        if self._skipped:
            self._settle_skipped()

    def retry(self, slot: Slot, due: float, now: float) -> None:
        """The hand-out is over without success; the event is due again at `due`."""
        self.version += 1
        slot.marked = False
        slot.due = due
        if slot.state is State.OUT:
            self.queued_bytes += slot.size
        slot.state = State.QUEUED
        self._queue.put(slot, now)

    def give_up(self, slot: Slot) -> None:
        """The event is about to be dead-lettered: nobody is handed it meanwhile."""
        if slot.state is State.OUT:
            self.queued_bytes += slot.size
        slot.state = State.DYING

    def hold(self, slot: Slot) -> None:
        """What was given up is still in the hands of whoever was handed it."""
        self.version += 1
        self.queued_bytes -= slot.size
        slot.state, slot.marked = State.OUT, False

    def mark(self, slot: Slot, *, dying: bool) -> None:
        """From now on commits tell that the dead letter may be under way, or that it is not."""
        self.version += 1
        slot.marked = dying
        self._touched[slot.offset] = slot

    def take_back(self, slot: Slot, now: float) -> None:
        """A reserved event is not handed out: its attempt does not count."""
        slot.attempt -= 1
        self.ahead -= slot.state is State.RESERVED
        if slot.attempt == 0:
            self._touched.pop(slot.offset, None)
        self.retry(slot, now, now)

    def reserved(self) -> Iterator[Slot]:
        """What is reserved and not handed out."""
        return (slot for slot in tuple(self._reserved) if slot.state is State.RESERVED)

    # what is told of it

    def snapshot(self, now: float, *, without: Slot | None = None) -> tuple[int, str]:
        """Offset and text of a commit that tells of all changes until now. without: as if it were settled."""
        if without is None:
            return self.offset, encode(self._progress(self.offset, self._settled), self._unix(now))
        settled = Ranges(self._settled)
        settled.add(without.offset, without.end)
        offset = settled.take_from(self.offset)
        state = self._progress(offset, settled)
        state.touched.pop(without.offset, None)
        return offset, encode(replace(state, remarks=self._remarks_with(without)), self._unix(now))

    def _remarks_with(self, slot: Slot) -> Remarks:
        if slot.lapsed:
            return self.seen.remarks.lapse(slot.offset)
        return self.seen.remarks if slot.copy is None else self.seen.remarks_with(slot.copy)

    def _progress(self, offset: int, settled: Ranges) -> Progress:
        touched = {
            slot.offset: Touched(slot.attempt, self._unix(slot.due), slot.marked)
            for slot in self._touched.values()
        }
        self.seen.advance(self.offset)
        told = {**self._found, **touched}
        return Progress(
            offset, self._terms.policy, tuple(settled), told, self.seen.history, self.seen.remarks
        )

    def _unix(self, time: float) -> int:
        return round((time + self._terms.skew) * MILLISECONDS)

    def _reserve(self, slot: Slot, now: float) -> None:
        self.version += 1
        slot.state, slot.version, slot.since = State.RESERVED, self.version, now
        slot.lapsed = False
        slot.due = now + self._terms.hold + self._terms.lease
        self._touched[slot.offset] = slot
        self._reserved.append(slot)
        self.ahead += 1

    def _has_room(self, slot: Slot, *, ranges: int = 0) -> bool:
        """Whether the text has room for one more event and so many ranges, and then for the first event,
        which all wait for."""
        if slot.offset in self._touched or slot.offset == self.offset:
            return True
        touched = len(self._touched) + len(self._found)
        return slot.offset < self.offset + SPAN and fits(touched + 2, len(self._settled) + ranges)

    def _settle_skipped(self) -> None:
        while self._skipped and self._has_room(self._skipped[0], ranges=1):
            slot = self._skipped.popleft()
            self.version += 1
            slot.state = State.SETTLED
            self._add(slot.offset, slot.end)

    def _add(self, start: int, end: int) -> None:
        if start <= self.offset:
            self.offset = self._settled.take_from(max(end, self.offset))
        else:
            self._settled.add(start, end)
