"""Cut a violating history down to the records that show the violation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from eventproof.conformance.history.record import History, Record
from eventproof.conformance.minimise.ddmin import ddmin


def minimal(history: History, shows: Callable[[History], bool]) -> History:
    """The smallest history found, by leaving out whole calls, then whole sessions, that still `shows` it.

    Each candidate is a legal history: what belongs to a call or a session left out goes with it.
    """
    for field in ("call", "session"):
        history = _without(history, field, shows)
    return history


def _without(history: History, field: str, shows: Callable[[History], bool]) -> History:
    owner = _owners(history, field)
    numbers = sorted(set(owner.values()) - {0})
    search, kept = ddmin(numbers), numbers
    try:
        candidates = next(search)
        while True:
            chosen = next(
                (n for n, kept in enumerate(candidates) if shows(_only(history, field, owner, kept))), None
            )
            candidates = search.send(chosen)
    except StopIteration as done:
        kept = done.value
    return _only(history, field, owner, kept)


def _owners(history: History, field: str) -> dict[int, int]:
    """For each record the call, or the session, that it belongs to; 0 for none."""
    of_delivery: dict[int, int] = {}
    owner = {}
    for record in history.records:
        number = getattr(record, field)
        if record.kind == "deliver":
            of_delivery[record.delivery] = number
        elif record.delivery:
            number = of_delivery.get(record.delivery, 0)
        owner[record.i] = number
    return owner


def _only(history: History, field: str, owner: dict[int, int], kept: list[int]) -> History:
    keep = {0, *kept}
    records = [record for record in history.records if owner[record.i] in keep]
    if field == "call":
        records = [_prune(record, keep) for record in records]
    return History(history.header, records)


def _prune(record: Record, calls: set[int]) -> Record:
    """A log read names calls too."""
    if not record.entries:
        return record
    entries: Any = [entry for entry in record.entries if entry.call in calls]
    return msgspec.structs.replace(record, entries=entries)
