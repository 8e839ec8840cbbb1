"""The one place that reads wall time."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from datetime import datetime, timedelta, timezone

from eventproof.adapters import clock
from tests.adapters.virtual import START, run

NOON = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)


def test_now_is_the_present_moment_in_utc() -> None:
    before = datetime.now(timezone.utc)
    found = clock.now()
    assert before <= found <= datetime.now(timezone.utc)
    assert found.tzinfo is timezone.utc


def test_another_source_counts_in_its_own_context_only() -> None:
    def inject() -> datetime:
        clock.source.set(lambda: NOON)
        return clock.now()

    assert copy_context().run(inject) == NOON
    assert clock.now() != NOON


def test_wall_time_follows_the_virtual_clock() -> None:
    async def later() -> list[datetime]:
        seen = [clock.now()]
        await asyncio.sleep(3600)
        return [*seen, clock.now()]

    assert run(later()) == [START, START + timedelta(hours=1)]


def test_a_stopwatch_counts_seconds_up_from_its_start() -> None:
    elapsed = clock.stopwatch()
    first, second = elapsed(), elapsed()
    assert 0 <= first <= second < 10
