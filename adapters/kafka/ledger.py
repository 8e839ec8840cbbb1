"""What the owner of a partition knows of its group there: which events are due, out, waiting or settled.

It decides what may be handed out, and does no I/O. Times are `loop.time()`.

Its rules: of a key at most one event is out, the earliest one that is not settled. An attempt is counted
before the event is handed out: `reserve` counts it, a commit makes that durable, `next_confirmed` gives it
out. Every change has a version; a commit of version v tells of all changes up to v.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from eventproof.adapters.kafka.progress import MOST_UNSEEN, SPAN, Progress, Touched, encode, fits
from eventproof.adapters.kafka.ranges import Ranges
from eventproof.adapters.kafka.slot import Lane, Slot, State

MILLISECONDS: Final = 1000


class Terms(msgspec.Struct, frozen=True):
    """policy: digest of the group's. lease: seconds of one. hold: seconds that a reserved event may wait for
    its hand-out. skew: unix time minus `loop.time()`."""

    policy: str
    lease: float
    hold: float
    max_attempts: int | None
    skew: float


class Ledger:
    """One partition.

    offset: end of the contiguous settled prefix. position: offset of the next record to take in.
    version, confirmed: of the last change, and of the last one that a commit told of.
    exhausted: events that are due and have no attempt left, for the session to dead-letter.
    queued_bytes: of the records that were taken in and are not handed out.
    history: offset from which deduplication looks, for the next owner. unseen: what expired since then before
    anybody was handed it, None where that is too much to remember.
    """

    def __init__(self, state: Progress, terms: Terms) -> None:
        self.offset = self.position = state.offset
        self.history = state.history
        self.unseen = None if state.unseen is None else set(state.unseen)
        self.version = self.confirmed = 0
        self.queued_bytes = 0
        self.exhausted: deque[Slot] = deque()
        self.ahead = 0
        self._terms = terms
        self._settled = Ranges(state.settled)
        self._found = dict(state.touched)
        self._touched: dict[int, Slot] = {}
        self._skipped: deque[Slot] = deque()
        self._last: Slot | None = None
        self._lanes: dict[str, Lane] = {}
        self._ready: list[Slot] = []
        self._waiting: list[tuple[float, Slot]] = []
        self._reserved: deque[Slot] = deque()

    # what comes in

    @property
    def reach(self) -> int:
        """Offset below which earlier owners looked at every record."""
        touched = max(self._found, default=-1) + 1
        settled = max((end for _, end in self._settled), default=0)
        return max(self.offset, touched, settled)

    def done(self, offset: int) -> bool:
        """Whether the record is settled, so that nobody needs to look at it."""
        return offset < self.offset or offset in self._settled

    def known(self, offset: int) -> bool:
        """Whether an earlier owner has handed out the record, which is not taken in yet."""
        return offset in self._found

    def admit(self, offset: int, key: str | None, value: Any, size: int, now: float) -> None:
        """Take in an event, at `position` or behind it."""
        slot = self._take_in(offset, key, value, size)
        if slot is not None and slot.lane.slots[0] is slot:
            self._offer(slot, now)

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

    def _take_in(self, offset: int, key: str | None, value: Any, size: int) -> Slot | None:
        """The slot of a record, at the end of its lane; None if it is settled."""
        found = self._found.pop(offset, None)
        self.passed(offset)
        if self.done(offset):
            self.passed(offset + 1)
            return None
        lane = Lane(None) if key is None else self._lanes.get(key)
        if lane is None:
            lane = self._lanes[str(key)] = Lane(key)
        slot = self._last = Slot(offset, lane, value, size)
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
        """Count an attempt of up to `wanted` events that are due, the earliest first. How many they were."""
        self._wake(now)
        limit, reserved = self._terms.max_attempts, 0
        while reserved < wanted and self.has_ready:
            slot = heapq.heappop(self._ready)
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
        return self._waiting[0][0] if self._waiting else None

    @property
    def has_ready(self) -> bool:
        """Whether something is due that may be reserved, as far as the last call of `reserve` saw."""
        ready = self._ready
        while ready and ready[0].state is not State.QUEUED:
            heapq.heappop(ready)
        return bool(ready) and self._has_room(ready[0])

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
        lane = slot.lane
        lane.slots.popleft()
        if lane.slots:
            self._offer(lane.slots[0], now)
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
        self._offer(slot, now)

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

    def expire(self, slot: Slot) -> None:
        """The event expired before anybody was handed it."""
        if self.unseen is not None:
            self.unseen = {offset for offset in self.unseen if offset >= self.history} | {slot.offset}
            if len(self.unseen) > MOST_UNSEEN:
                self.unseen = None

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
        return offset, encode(state, self._unix(now))

    def _progress(self, offset: int, settled: Ranges) -> Progress:
        touched = {
            slot.offset: Touched(slot.attempt, self._unix(slot.due), slot.marked)
            for slot in self._touched.values()
        }
        history = min(self.history, offset) if self.history >= 0 else offset
        unseen = None if self.unseen is None else frozenset(self.unseen)
        told = {**self._found, **touched}
        return Progress(offset, self._terms.policy, tuple(settled), told, history, unseen)

    def _unix(self, time: float) -> int:
        return round((time + self._terms.skew) * MILLISECONDS)

    def _wake(self, now: float) -> None:
        """What waited for its time until now is due."""
        while self._waiting and self._waiting[0][0] <= now:
            due, slot = heapq.heappop(self._waiting)
            if slot.state is State.QUEUED and slot.due == due:
                heapq.heappush(self._ready, slot)

    def _reserve(self, slot: Slot, now: float) -> None:
        self.version += 1
        slot.state, slot.version, slot.since = State.RESERVED, self.version, now
        slot.due = now + self._terms.hold + self._terms.lease
        self._touched[slot.offset] = slot
        self._reserved.append(slot)
        self.ahead += 1

    def _offer(self, slot: Slot, now: float) -> None:
        if slot.state is not State.QUEUED:
            return
        if slot.due > now:
            heapq.heappush(self._waiting, (slot.due, slot))
        else:
            heapq.heappush(self._ready, slot)

    def _has_room(self, slot: Slot) -> bool:
        """Whether the text has room for one more event, and then for the first one, which all wait for."""
        if slot.offset in self._touched or slot.offset == self.offset:
            return True
        touched = len(self._touched) + len(self._found)
        return slot.offset < self.offset + SPAN and fits(touched + 2, len(self._settled))

    def _settle_skipped(self) -> None:
        while self._skipped:
            slot = self._skipped[0]
            touched = len(self._touched) + len(self._found)
            room = slot.offset < self.offset + SPAN and fits(touched + 2, len(self._settled) + 1)
            if not room and slot.offset != self.offset:
                break
            self._skipped.popleft()
            self.version += 1
            slot.state = State.SETTLED
            self._add(slot.offset, slot.end)

    def _add(self, start: int, end: int) -> None:
        if start <= self.offset:
            self.offset = self._settled.take_from(max(end, self.offset))
        else:
            self._settled.add(start, end)
