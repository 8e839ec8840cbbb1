"""An event loop on simulated time: when nothing is left to do now, it is later at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from math import inf, nextafter
from typing import Any

RESOLUTION = 1e-6  # seconds; above the rounding of any time below thirty years


class Deadlock(RuntimeError):
    """Everybody waits, and nothing is scheduled that could end it."""


class _Selector(selectors.BaseSelector):
    """Watches no file: waiting for one is waiting for the next timer."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("every participant waits and no timer is set")
        if timeout > 0:  # late on a long run a small step would be lost in rounding
            self.now = max(self.now + timeout, nextafter(self.now, inf))
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise NotImplementedError("the virtual clock is for brokers in this process: no sockets, no pipes")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """`loop.time()` starts at 0 and jumps from timer to timer."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._clock_resolution = RESOLUTION

    def time(self) -> float:
        return self._virtual.now

    def _make_self_pipe(self) -> None:
        """No thread and no signal wakes this loop."""

    def _close_self_pipe(self) -> None:
        """There is none."""
