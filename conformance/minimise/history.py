"""Find the part of a history that a violation rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from eventproof.conformance.history.record import History, Record
from eventproof.conformance.minimise.ddmin import ddmin
from eventproof.conformance.rules.rule import Violation

Part = Sequence[Record]


def essential(
    history: History, violation: Violation, judge: Callable[[History], Iterable[Violation]]
) -> Part:
    """The fewest records found that still show this violation, as they were recorded: whole calls, then whole
    sessions, are left out, and what belongs to one goes with it.

    judge: the violations of a history. What is left is a choice and no history: things seem to have happened
    in it that did not, so it tells which records to look at, and nobody judges it.
    """
    calls = {record.call for record in history.records}

    def shows(part: Part) -> bool:
        gone = calls - {record.call for record in part}
        found = judge(History(history.header, _numbered(part, gone)))
        return any(tuple(part[i - 1].i for i in one.records) == violation.records for one in found)

    part: Part = history.records
    for field in ("call", "session"):
        part = _smallest(part, field, shows)
    return part


def _smallest(part: Part, field: str, shows: Callable[[Part], bool]) -> Part:
    owner = _owners(part, field)
    numbers = sorted(set(owner.values()) - {0})
    search = ddmin(numbers)
    try:
        candidates = next(search)
        while True:
            chosen = (n for n, kept in enumerate(candidates) if shows(_of(part, owner, kept)))
            candidates = search.send(next(chosen, None))
    except StopIteration as done:
        numbers = done.value
    return _of(part, owner, numbers)


def _owners(part: Part, field: str) -> dict[int, int]:
    """For each record the call, or the session, that it belongs to; 0 for none."""
    of_delivery: dict[int, int] = {}
    owner = {}
    for record in part:
        number = getattr(record, field)
        if record.kind == "deliver":
            of_delivery[record.delivery] = number
        elif record.delivery:
            number = of_delivery.get(record.delivery, 0)
        owner[record.i] = number
    return owner


def _of(part: Part, owner: dict[int, int], numbers: Iterable[int]) -> Part:
    kept = {0, *numbers}
    return [record for record in part if owner[record.i] in kept]


def _numbered(part: Part, gone: set[int]) -> list[Record]:
    """Counted anew, so that rules take them for a history; a read of the log names calls too."""
    return [
        msgspec.structs.replace(
            record, i=i, entries=[entry for entry in record.entries if entry.call not in gone]
        )
        for i, record in enumerate(part, 1)
    ]
