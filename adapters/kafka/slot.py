"""One event on its way through a group, and the lane in which it waits."""

from __future__ import annotations

import enum
from collections import deque
from typing import Any

from eventproof.adapters.kafka.seen import Copy


class State(enum.Enum):
    QUEUED = enum.auto()  # due, or waiting for its time or for its key
    RESERVED = enum.auto()
    OUT = enum.auto()
    DYING = enum.auto()
    SETTLED = enum.auto()


class Lane:
    """Events of one key, or copies of one event without a key, in the order of their offsets, of which the
    first may be out. key: of the event, or its identity; None for one that has a lane of its own."""

    __slots__ = ("key", "slots")

    def __init__(self, key: str | bytes | None) -> None:
        self.key = key
        self.slots: deque[Slot] = deque()


class Slot:
    """end: offset of the next record. size: bytes of this one. attempt: hand-outs, the reserved one included.
    due: `loop.time()` before which nobody is handed it. version, since: of and when it was reserved.
    marked: commits tell that its dead letter may be under way. lapsed: it is being settled since it expired.
    copy: of which event, where deduplication has to know."""

    __slots__ = (
        "attempt", "copy", "due", "end", "lane", "lapsed", "marked", "offset", "since", "size", "state",
        "value", "version",
    )  # fmt: skip

    def __init__(self, offset: int, lane: Lane, value: Any, size: int, copy: Copy | None = None) -> None:
        self.offset = offset
        self.end = offset + 1
        self.lane = lane
        self.value = value
        self.size = size
        self.state = State.QUEUED
        self.attempt = 0
        self.due = 0.0
        self.since = 0.0
        self.version = 0
        self.marked = False
        self.lapsed = False
        self.copy = copy

    def __lt__(self, other: Slot) -> bool:
        return self.offset < other.offset
