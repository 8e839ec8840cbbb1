"""Which events of a partition were stored less than a window before: a copy of one is not handed out again.

A copy that may expire before anybody sees it does not stand for the next one until it is handed out. All of
it can be read again from the log: whoever owns the partition next begins at `horizon`.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import Final

_DIGEST: Final = 16  # bytes; equal ones of different events do not happen


class _First:
    """The copy that counts, stored `at`, or one in its place. told: whether it was handed out, or will be.
    last: when the last copy was stored."""

    __slots__ = ("at", "digest", "last", "offset", "told")

    def __init__(self, offset: int, at: int, digest: bytes, told: bool) -> None:
        self.offset = offset
        self.at = self.last = at
        self.digest = digest
        self.told = told


class Seen:
    """window: milliseconds. Times are those of the log."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._first: dict[bytes, _First] = {}
        self._order: deque[_First] = deque()
        self._open: dict[int, tuple[int, _First]] = {}

    def repeats(self, offset: int, at: int, identity: str, *, told: bool, settled: bool = False) -> bool:
        """Note a copy; whether one before it stands for it, as far as is known now.

        told: whether it was handed out, or will be in any case. settled: whether nobody will be handed it.
        """
        digest = blake2b(identity.encode(), digest_size=_DIGEST).digest()
        first = self._first.get(digest)
        if first is None or at - first.at >= self._window:
            self._forget(at - self._window)
            first = self._first[digest] = _First(offset, at, digest, told)
            self._order.append(first)
        elif first.told:
            first.last = max(first.last, at)
            return True
        elif told and settled:
            first.at, first.told = at, True
        first.last = max(first.last, at)
        if not (first.told or settled):
            self._open[offset] = (at, first)
        return False

    def handed_out(self, offset: int) -> bool:
        """A copy is about to be handed out; whether one was meanwhile that stands for it."""
        if not self._open or (found := self._open.pop(offset, None)) is None:
            return False
        at, first = found
        if first.told and at - first.at < self._window:
            return True
        first.at, first.told = at, True
        return False

    def horizon(self, otherwise: int) -> int:
        """Offset of the first copy that still counts, or `otherwise` if there is none."""
        return self._order[0].offset if self._order else otherwise

    def _forget(self, before: int) -> None:
        while self._order and self._order[0].last <= before:
            gone = self._order.popleft()
            if self._first.get(gone.digest) is gone:
                del self._first[gone.digest]
