"""What the log and the place of a group do not show of the copies that are settled: deduplication needs it.

A copy that lapsed was settled because it had expired: it stands for no other one. One that opened a window is
no repeat, though another one was settled less than a window before: that one was a repeat itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

MOST: Final = 24
EACH: Final = 11  # characters of one, and of what is unsure

_ONE = re.compile(r"([0-9a-f]+)(!?)")


class Remarks(msgspec.Struct, frozen=True):
    """lapsed, opened: offsets, ascending, at most `MOST` of both. unsure: what lies below it may have done so
    too."""

    lapsed: tuple[int, ...] = ()
    opened: tuple[int, ...] = ()
    unsure: int = 0

    def lapse(self, offset: int) -> Remarks:
        """With another one that lapsed."""
        return self._bounded({*self.lapsed, offset}, self.opened)

    def open(self, offset: int) -> Remarks:
        """With another one that opened a window."""
        return self._bounded(self.lapsed, {*self.opened, offset})

    def since(self, history: int) -> Remarks:
        """Without what lies before `history`."""
        return self._cut(self.lapsed, self.opened, history, self.unsure if self.unsure > history else 0)

    def _bounded(self, lapsed: Iterable[int], opened: Iterable[int]) -> Remarks:
        """Where they are too many, those that lie furthest back become unsure."""
        places = sorted((*lapsed, *opened))
        start = places[-MOST] if len(places) > MOST else 0
        return self._cut(lapsed, opened, start, max(start, self.unsure))

    def _cut(self, lapsed: Iterable[int], opened: Iterable[int], start: int, unsure: int) -> Remarks:
        return Remarks(_since(lapsed, start), _since(opened, start), unsure)


def _since(places: Iterable[int], start: int) -> tuple[int, ...]:
    return tuple(sorted(place for place in places if place >= start))


def write(remarks: Remarks, history: int) -> str:
    """The text: `9*2,1f!` for offset 2 after `history` that lapsed, 31 that opened, and all before 9 unsure;
    `-` for nothing."""
    unsure = f"{remarks.unsure - history:x}*" if remarks.unsure else ""
    lapsed = ((offset, "") for offset in remarks.lapsed)
    opened = ((offset, "!") for offset in remarks.opened)
    told = (f"{offset - history:x}{mark}" for offset, mark in sorted((*lapsed, *opened)))
    return (unsure + ",".join(told)) or "-"


def read(text: str, history: int) -> Remarks:
    """What was written. Raises ValueError for another text."""
    unsure, _, places = ("" if text == "-" else text).rpartition("*")
    lapsed: list[int] = []
    opened: list[int] = []
    for place in places.split(",") if places else ():
        found = _ONE.fullmatch(place)
        if found is None:
            raise ValueError(text)
        (opened if found[2] else lapsed).append(history + int(found[1], 16))
    return Remarks(tuple(lapsed), tuple(opened), history + int(unsure, 16) if unsure else 0)
