"""Timers of one owner, one for each act."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """None goes off once they are closed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._open = True

    def __contains__(self, act: Callable[[], None]) -> bool:
        return act in self._timers

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` once: after so long, or before if that is due already."""
        when = self._loop.time() + seconds
        timer = self._timers.get(act)
        if not self._open or (timer is not None and timer.when() <= when):
            return
        if timer is not None:
            timer.cancel()
        self._timers[act] = self._loop.call_at(when, self._due, act)

    def close(self) -> None:
        self._open = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _due(self, act: Callable[[], None]) -> None:
        del self._timers[act]
        act()
