"""What scenarios may take together: side by side, in any second, in bytes and in time."""

from __future__ import annotations

import asyncio
from collections import deque

from eventproof.adapters import clock
from eventproof.conformance.targets.visit import Caps

SECOND = 1.0


class Allowance:
    """The bytes and the time that are left. Without caps there is always enough.

    ended: which cap was reached, as a sentence; empty before.
    """

    def __init__(self, caps: Caps | None = None) -> None:
        self._caps = caps
        self._taken = 0
        self._passed = clock.stopwatch()
        self.ended = ""

    def take(self, weight: int) -> bool:
        """Whether a scenario that stores so many bytes at most may begin. After one refusal none may."""
        if self._caps is not None and not self.ended:
            if self._passed() >= self._caps.max_duration:
                self.ended = f"--max-duration of {self._caps.max_duration:g} s reached"
            elif self._taken + weight > self._caps.max_bytes:
                self.ended = f"--max-bytes of {self._caps.max_bytes} reached"
        if self.ended:
            return False
        self._taken += weight
        return True


class Pace:
    """Lets no more than `rate` publishes begin within any second; None for any number."""

    def __init__(self, rate: int | None = None) -> None:
        self._recent = deque[float](maxlen=rate) if rate else None

    def book(self, now: float) -> float:
        """The time (`loop.time()`) at which one more may begin; it is taken from now on."""
        if self._recent is None:
            return now
        full = len(self._recent) == self._recent.maxlen
        due = max(now, self._recent[0] + SECOND) if full else now
        self._recent.append(due)
        return due


class Turns:
    """One scenario's waits for the pace. held: seconds in which at least one of its publishes waited, so that
    what has to be done in time is not late for it."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._until = 0.0
        self.held = 0.0

    async def wait(self) -> None:
        """Return when a publish may begin; at once unless the pace says otherwise."""
        now = self._loop.time()
        due = self._pace.book(now)
        if due > now:
            start = max(now, self._until)
            self.held += max(due - start, 0.0)
            self._until = max(due, self._until)
            await asyncio.sleep(due - now)
