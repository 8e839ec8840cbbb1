"""The one recorder of a run: its index is the order of the history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from eventproof.adapters.secret import redacted
from eventproof.conformance.history.record import Header, History, Record

NANOSECONDS = 1_000_000_000
ADAPTERS_WORDS = ("reason", "error")


def _unseen(_: Record) -> None:
    """Nobody waits for it."""


class Recorder:
    """Appends records; numbers sessions and deliveries. Its clock is the event loop's, from 0.
    seen: is told of each record. stalled: ns for which this process could not run."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self.records: list[Record] = []
        self.seen: Callable[[Record], None] = _unseen
        self.sessions = 0
        self.deliveries = 0
        self.stalled = 0

    def __call__(self, kind: str, **fields: Any) -> None:
        """Record that `kind` happened, now. What an adapter said may hold a secret, which is left out."""
        for name in ADAPTERS_WORDS:
            if fields.get(name):
                fields[name] = redacted(fields[name])
        record = Record(i=len(self.records) + 1, t=self.nanoseconds(), kind=kind, **fields)
        self.records.append(record)
        self.seen(record)

    def nanoseconds(self) -> int:
        """Time since the start of the run."""
        return int((self._loop.time() - self._start) * NANOSECONDS)

    def stall(self, ns: int) -> None:
        """Record that this process could not run for so long."""
        self.stalled += ns
        self("stall", numbers={"ns": ns})

    def session(self) -> int:
        self.sessions += 1
        return self.sessions

    def delivery(self) -> int:
        self.deliveries += 1
        return self.deliveries

    def history(self, header: Header) -> History:
        return History(header, self.records)
