"""Whether this process stood still: then what it reads was sent long ago, and its lease may be over.

A message does not tell when it was sent. One that is read by a loop that runs was sent a moment ago; one that
is read after a pause (a stopped process, a handler that blocks the loop) may have waited in the socket since
it began. A pause in which the clock stands still too does not show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

PULSE: Final = 0.1  # seconds
STILL: Final = 0.2  # seconds without a pulse that are a pause; each lease bears as much unnoticed


class Wakefulness:
    """Tells since when what is read now may have been waiting.

    catch_up: returns once everything is read that had been sent before it was called.
    """

    def __init__(self, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._catch_up = catch_up
        self._loop = asyncio.get_running_loop()
        self._pulse = self._loop.time()
        self._asleep: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(PULSE, self._beat)

    @property
    def since(self) -> float:
        """`loop.time()`; no message that is read now was sent before."""
        self._look()
        return self._pulse if self._asleep is None else self._asleep

    def reconnected(self) -> None:
        """What is read from here on comes over a new connection."""
        self._asleep = None

    def close(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _beat(self) -> None:
        self._look()
        self._pulse = self._loop.time()
        self._timer = self._loop.call_later(PULSE, self._beat)

    def _look(self) -> None:
        if self._loop.time() - self._pulse <= STILL:
            return
        if self._asleep is None:
            self._asleep = self._pulse
        self._pulse = self._loop.time()  # this pause is known
        if self._task is not None:  # what it waits for was sent before this pause, and more came after it
            self._task.cancel()
        self._task = asyncio.ensure_future(self._wake_up())

    async def _wake_up(self) -> None:
        await self._catch_up()
        self._asleep = None
