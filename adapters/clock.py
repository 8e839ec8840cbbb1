"""Wall time, for `time` and `expirytime` alone; whatever measures a duration uses `loop.time()`.

The suite injects a wall clock that follows its virtual one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime, timezone


def _wall() -> datetime:
    return datetime.now(timezone.utc)


source: ContextVar[Callable[[], datetime]] = ContextVar("source", default=_wall)


def now() -> datetime:
    """The present moment, in UTC."""
    return source.get()()


def stopwatch() -> Callable[[], float]:
    """Gives the seconds of real time since this call; for progress and budgets, never for judgements."""
    start = time.perf_counter()
    return lambda: time.perf_counter() - start
