"""Notice when this process could not run: whatever was timed across a stall is not judged."""

from __future__ import annotations

import asyncio

from eventproof.conformance.history.recorder import NANOSECONDS, Recorder

TICK = 0.01
NOTICED = 0.02  # seconds late, from which on a tick counts as a stall


class Stalls:
    """Ticks every 10 ms and records how late a tick came."""

    def __init__(self, record: Recorder) -> None:
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        late = self._loop.time() - self._due
        if late > NOTICED:
            self._record.stall(int(late * NANOSECONDS))
        self._due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._due, self._tick)
