"""Delta debugging: the smallest part of a list that still shows what the whole list shows.

A generator, so that who drives it decides how candidates are tried: one by one and at once (a history),
or all of a round side by side on a broker (a scenario).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import TypeVar

Unit = TypeVar("Unit")


def ddmin(units: Sequence[Unit]) -> Generator[list[list[Unit]], int | None, list[Unit]]:
    """Yield candidate lists, smallest first; receive the index of one that still shows it, or None.

    Returns a list of which no single unit can be left out.
    """
    kept, parts = list(units), 2
    while len(kept) > 1:
        chunks = _split(kept, parts)
        without = [[unit for part in chunks if part is not chunk for unit in part] for chunk in chunks]
        candidates = chunks if parts == 2 else [*chunks, *without]  # noqa: PLR2004 - of two, each is the other's rest
        chosen = yield candidates
        if chosen is not None:
            kept = candidates[chosen]
            parts = 2 if chosen < len(chunks) else max(parts - 1, 2)
        elif parts < len(kept):
            parts = min(len(kept), parts * 2)
        else:
            break
    if len(kept) == 1 and (yield [[]]) is not None:
        return []
    return kept


def _split(units: list[Unit], parts: int) -> list[list[Unit]]:
    bounds = [len(units) * n // parts for n in range(parts + 1)]
    return [units[low:high] for low, high in pairwise(bounds)]
