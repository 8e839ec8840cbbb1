"""Wall time, for `time` and `expirytime` alone; whatever measures a duration uses `loop.time()`.

The suite injects a wall clock that follows its virtual one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime, timezone


def _wall() -> datetime:
    return datetime.now(timezone.utc)


source: ContextVar[Callable[[], datetime]] = ContextVar("source", default=_wall)


def now() -> datetime:
    """The present moment, in UTC."""
    return source.get()()
