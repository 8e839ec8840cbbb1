"""What one group knows of one partition, as the metadata text of its committed offset.

The broker keeps the text with the offset and gives it to whoever owns the partition next. The offset is
the end of the contiguous settled prefix; the text walks on from there:

    1 <policy> <time> <history> <remarks> <run> <run> ...

policy: digest of the group's policy. time: unix milliseconds. history: how many offsets before the prefix
deduplication still looks at. remarks: what it has to know of those that follow, as
`eventproof.adapters.kafka.remarks` writes it. A run tells of the offsets that follow those of the run before
it:

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

from eventproof.adapters.kafka import remarks as remarking
from eventproof.adapters.kafka.remarks import Remarks

LIMIT: Final = 4096  # bytes; the broker's offset.metadata.max.bytes
SPAN: Final = 0xFFFF  # offsets from the prefix to the last one that is told of
MOST_ATTEMPTS: Final = 0xFFFF  # one that was handed out more often stays at that
LATEST: Final = 0xFFFFFFFFFF  # ms; 34 years
# Of each at most, with the run of unknown ones before it: "fff_ ffff@ffffffffff! " and "fff_ fff. ". Lengths
# of four digits are 15 at most, for which the header has room.
ENTRY: Final = 22
RANGE: Final = 10
HEADER: Final = 64
MOST_BEHIND: Final = 0xFFFFFFFFF - SPAN  # offsets of the history
ROOM: Final = LIMIT - HEADER - (remarking.MOST + 1) * remarking.EACH
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

    history: offset from which deduplication looks. remarks: on what follows.
    """

    offset: int
    policy: str
    settled: tuple[tuple[int, int], ...] = ()
    touched: dict[int, Touched] = {}
    history: int = -1
    remarks: Remarks = Remarks()


def fits(touched: int, ranges: int) -> bool:
    """Whether so many of each always fit into the text."""
    return touched * ENTRY + ranges * RANGE <= ROOM


def encode(state: Progress, now: int) -> str:
    """The text. now: unix milliseconds."""
    history = state.history if 0 <= state.history <= state.offset else state.offset
    history = max(history, state.offset - MOST_BEHIND)
    remarks = remarking.write(state.remarks.since(history), history)
    runs = " ".join(_runs(state, now)) if state.touched or state.settled else ""
    return f"{VERSION} {state.policy} {now:x} {state.offset - history:x} {remarks} {runs}".rstrip()


def decode(offset: int, text: str) -> Progress:
    """What a committed offset and its text tell. One that somebody else committed, or another release
    with another format, is the place where the group stands, and no more."""
    try:
        version, policy, time, history, remarks, *runs = text.split(" ")
        if version == VERSION:
            begin = offset - int(history, 16)
            found = _read(offset, int(time, 16), runs)
            return replace(found, policy=policy, history=begin, remarks=remarking.read(remarks, begin))
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
