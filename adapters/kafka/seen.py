"""Which events of a partition the group was done with a short time before: a copy of one is not handed out.

The copies of an event that have one key wait for each other. So when the turn of one comes, it is known what
became of those before it. One that was settled opens a window: it stands for all that were stored in it, and
these do not renew it. One that lapsed, since it had expired, stands for none.

All of it can be read again from the log: whoever owns the partition next begins at the history, and is told
the remarks. Where these are too many to tell, an event is rather handed out twice than lost.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from hashlib import blake2b
from operator import itemgetter
from typing import Final

import msgspec

from eventproof.adapters.kafka.remarks import Remarks
from eventproof.schemas.event import Event

_DIGEST: Final = 16  # bytes; equal ones of different events do not happen
_MARKS: Final = 16  # in a window


class Copy(msgspec.Struct, frozen=True, gc=False):
    """A stored copy of an event. at: when, in unix milliseconds of the log. identity: of the event with its
    key. mortal: whether it may expire."""

    offset: int
    at: int
    identity: bytes
    mortal: bool = False


class Seen:
    """window: milliseconds, 0 for no deduplication. history: offset from which an owner has to read.
    remarks: on what follows."""

    def __init__(self, window: int, history: int, remarks: Remarks) -> None:
        self.window = window
        self.history = history
        self.remarks = remarks
        self._first: dict[bytes, Copy] = {}  # opened a window
        self._later: dict[bytes, Copy] = {}  # were settled and opened none, or perhaps
        self._doubtful: dict[bytes, Copy] = {}  # opened one perhaps
        self._order: deque[Copy] = deque()
        self._needed: list[tuple[int, int]] = []  # an offset, and until when it is
        self._marks: list[tuple[int, int]] = []  # offsets, and when they were stored

    def read(self, offset: int, at: int, event: Event) -> Copy | None:
        """The copy that a record is; each record is read once, in order. None if it is none: a dead letter
        is no call of its event."""
        if not self.window or "dlreason" in event.extensions:
            return None
        if not self._marks or at - self._marks[-1][1] >= self.window / _MARKS:
            self._marks.append((offset, at))
        name = event.identity if event.key is None else f"{event.identity} {event.key}"
        digest = blake2b(name.encode(), digest_size=_DIGEST).digest()
        return Copy(offset, at, digest, "expirytime" in event.extensions)

    def repeats(self, copy: Copy) -> bool:
        """Whether one before it stands for it; those are settled all."""
        return self._within(self._first, copy) is not None

    def settle(self, copy: Copy) -> None:
        """The copy is settled, by who was handed it or as a repeat."""
        if self._is_in_window_of(self._first, copy):
            self._note(self._later, copy)
        else:
            self.remarks = self.remarks_with(copy)
            self._note(self._first, copy)

    def remarks_with(self, copy: Copy) -> Remarks:
        """What they are once the copy is settled."""
        anew = not self.repeats(copy) and self._within(self._later, copy) is not None
        return self.remarks.open(copy.offset) if anew else self.remarks

    def lapse(self, offset: int) -> None:
        """The record is settled, since it had expired."""
        self.remarks = self.remarks.lapse(offset)

    def recall(self, copy: Copy) -> None:
        """An earlier owner settled the copy."""
        if copy.offset in self.remarks.lapsed:
            return
        if copy.offset in self.remarks.opened:
            self._doubtful.pop(copy.identity, None)
            self._note(self._first, copy)
            return
        repeated = self._is_in_window_of(self._first, copy)
        unsure = copy.offset < self.remarks.unsure and (copy.mortal or repeated)
        if self._is_in_window_of(self._doubtful, copy) or unsure:
            self._first.pop(copy.identity, None)
            self._note(self._doubtful, copy)
            self._note(self._later, copy)
        else:
            self._note(self._later if repeated else self._first, copy)

    def advance(self, prefix: int) -> None:
        """All before `prefix` is settled: forget what counts for nothing from there on."""
        at = bisect_right(self._marks, prefix, key=itemgetter(0)) - 1
        if at >= 0:
            self._forget(self._marks[at][1] - self.window)
        elif not self.window:
            self.history = prefix
        self.remarks = self.remarks.since(self.history)

    def _within(self, known: dict[bytes, Copy], copy: Copy) -> Copy | None:
        """The copy of the event that is known, if this one was stored less than a window after it."""
        found = known.get(copy.identity)
        return found if found is not None and copy.at - found.at < self.window else None

    def _is_in_window_of(self, known: dict[bytes, Copy], copy: Copy) -> bool:
        """Whether one that is known tells that this one opens no window; so it is needed as long as this."""
        found = self._within(known, copy)
        if found is not None:
            heapq.heappush(self._needed, (found.offset, copy.at))
        return found is not None

    def _note(self, known: dict[bytes, Copy], copy: Copy) -> None:
        known[copy.identity] = copy
        self._order.append(copy)

    def _forget(self, before: int) -> None:
        """What was stored until then does not count any more."""
        while self._order and self._order[0].at <= before:
            gone = self._order.popleft()
            for known in (self._first, self._later, self._doubtful):
                if known.get(gone.identity) is gone:
                    del known[gone.identity]
        while self._needed and self._needed[0][1] <= before:
            heapq.heappop(self._needed)
        passed = bisect_right(self._marks, before, key=itemgetter(1)) - 1
        if passed >= 0:
            del self._marks[:passed]
            needed = self._needed[0][0] if self._needed else self._marks[0][0]
            self.history = min(needed, self._marks[0][0])
