"""What one group knows of one partition, as the metadata text of its committed offset.

The broker keeps the text with the offset and gives it to whoever owns the partition next. The offset is
the end of the contiguous settled prefix; the text walks on from there:

    1 <policy> <time> <history> <unseen> <run> <run> ...

policy: digest of the group's policy. time: unix milliseconds. history: how many offsets before the prefix
deduplication still looks at. unseen: which of those, counted from the first, expired before anybody was
handed them, as `2,1f`; `-` for none, `*` where there are too many to tell. A run tells of the offsets that
follow those of the run before it:

    5_          5 of which nothing is known
    c.          12 that are settled
    2@7530,     one that was handed out twice, and not again before 0x7530 ms after `time`
    40*1,       64 that were handed out once, and may be again
    3!          one that was handed out three times, and whose dead letter may be under way

Numbers are hexadecimal. Behind the last run nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

LIMIT: Final = 4096  # bytes; the broker's offset.metadata.max.bytes
SPAN: Final = 0xFFFF  # offsets from the prefix to the last one that is told of
MOST_ATTEMPTS: Final = 0xFFFF  # one that was handed out more often stays at that
LATEST: Final = 0xFFFFFFFFFF  # ms; 34 years
# Of each at most, with the run of unknown ones before it: "ffff_ffff@ffffffffff," and "ffff_ffff.".
ENTRY: Final = 21
RANGE: Final = 10
HEADER: Final = 64
MOST_UNSEEN: Final = 24
UNSEEN: Final = 10
MOST_BEHIND: Final = 0xFFFFFFFFF
ROOM: Final = LIMIT - HEADER - MOST_UNSEEN * UNSEEN
VERSION: Final = "1"

_RUN = re.compile(r"([0-9a-f]+)([_.])|(?:([0-9a-f]+)\*)?([0-9a-f]+)(?:@([0-9a-f]+))?([,!])")


class Touched(msgspec.Struct, frozen=True, gc=False):
    """An offset that is not settled and was handed out, or may have been.

    due: unix milliseconds before which nobody is handed it, 0 for none. dying: its dead letter may be under
    way.
    """

    attempt: int
    due: int = 0
    dying: bool = False


class Progress(msgspec.Struct, frozen=True):
    """The state of one partition. settled: ranges beyond the prefix, ascending and apart from each other.
    touched: by offset, none below the prefix or settled.

    history: offset from which deduplication looks. unseen: offsets behind it that expired unseen, None where
    there are too many.
    """

    offset: int
    policy: str
    settled: tuple[tuple[int, int], ...] = ()
    touched: dict[int, Touched] = {}
    history: int = -1
    unseen: frozenset[int] | None = frozenset()


def fits(touched: int, ranges: int) -> bool:
    """Whether so many of each always fit into the text."""
    return touched * ENTRY + ranges * RANGE <= ROOM


def encode(state: Progress, now: int) -> str:
    """The text. now: unix milliseconds."""
    history = state.history if 0 <= state.history <= state.offset else state.offset
    runs = " ".join(_runs(state, now)) if state.touched or state.settled else ""
    told = (
        f"{VERSION} {state.policy} {now:x} {state.offset - history:x} {_unseen(state.unseen, history)} {runs}"
    )
    return told.rstrip()


def decode(offset: int, text: str) -> Progress:
    """What a committed offset and its text tell. One that somebody else committed, or another release
    with another format, is the place where the group stands, and no more."""
    try:
        version, policy, time, history, unseen, *runs = text.split(" ")
        if version == VERSION:
            begin = offset - int(history, 16)
            found = _read(offset, int(time, 16), runs)
            return replace(found, policy=policy, history=begin, unseen=_read_unseen(unseen, begin))
    except ValueError:
        pass
    return Progress(offset, "")


def _read(offset: int, time: int, runs: list[str]) -> Progress:
    settled: list[tuple[int, int]] = []
    touched: dict[int, Touched] = {}
    at = offset
    for run in runs:
        found = _RUN.fullmatch(run)
        if found is None:
            raise ValueError(run)
        length, kind, count, attempt, due, mark = found.groups()
        end = at + int(length or count or "1", 16)
        if kind == ".":
            settled.append((at, end))
        elif kind is None:
            entry = Touched(int(attempt, 16), time + int(due, 16) if due else 0, mark == "!")
            touched.update(dict.fromkeys(range(at, end), entry))
        at = end
    return Progress(offset, "", tuple(settled), touched)


def _unseen(unseen: frozenset[int] | None, history: int) -> str:
    counted = None if unseen is None else sorted(offset - history for offset in unseen if offset >= history)
    if counted is None or len(counted) > MOST_UNSEEN or any(one > MOST_BEHIND for one in counted):
        return "*"
    return ",".join(f"{one:x}" for one in counted) or "-"


def _read_unseen(text: str, history: int) -> frozenset[int] | None:
    if text == "*":
        return None
    return frozenset() if text == "-" else frozenset(history + int(one, 16) for one in text.split(","))


def _runs(state: Progress, now: int) -> Iterator[str]:
    at = state.offset
    for start, end, text in sorted((*_settled(state), *_touched(state, now))):
        if start > at:
            yield f"{start - at:x}_"
        yield text
        at = end


def _settled(state: Progress) -> Iterable[tuple[int, int, str]]:
    return ((start, end, f"{end - start:x}.") for start, end in state.settled)


def _touched(state: Progress, now: int) -> Iterator[tuple[int, int, str]]:
    """Those that follow each other and are alike are one run."""
    start = end = -1
    like: Touched | None = None
    for offset in sorted(state.touched):
        entry = state.touched[offset]
        if like is not None and (offset != end or entry != like):
            yield start, end, _entry(like, end - start, now)
            like = None
        if like is None:
            start, like = offset, entry
        end = offset + 1
    if like is not None:
        yield start, end, _entry(like, end - start, now)


def _entry(entry: Touched, count: int, now: int) -> str:
    wait = min(entry.due - now, LATEST)
    due = f"@{wait:x}" if wait > 0 else ""
    several = f"{count:x}*" if count > 1 else ""
    return f"{several}{min(entry.attempt, MOST_ATTEMPTS):x}{due}{'!' if entry.dying else ','}"
