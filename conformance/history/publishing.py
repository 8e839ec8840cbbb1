"""Index what publishers did: calls, their outcomes, which of them repeat an event."""

from __future__ import annotations

from typing import cast

from eventproof.conformance.history.entities import NEVER, Call, Outcome
from eventproof.conformance.history.index import OUTCOMES, Handlers, Index
from eventproof.conformance.history.record import Record


class Publishing:
    """Handles the records of publish calls and of probes."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.events: dict[tuple[str, str], Call] = {}
        self.probes: set[int] = set()

    def handlers(self) -> Handlers:
        """By kind of record."""
        return {
            "publish.invoke": (self._publish, ""),
            **{f"publish.{outcome}": (self._published, outcome) for outcome in OUTCOMES},
            "probe": (self._probe, ""),
        }

    def _publish(self, record: Record, _: str) -> None:
        index, number = self.index, record.call
        if number in index.calls or number < 1:
            self.index.defect(record, f"uses call number {number} again")
            return
        call = index.calls[number] = Call(record)
        index.topics[record.topic].append(call)
        first = self.events.setdefault((record.topic, record.event), call)
        if first is not call:
            first.repeated = call.repeated = True
            index.events.setdefault((record.topic, record.event), [first]).append(call)

    def _published(self, record: Record, outcome: str) -> None:
        call = self.index.calls.get(record.call)
        if call is None or call.done is not None:
            self.index.defect(record, f"completes call {record.call}, which is not open")
            return
        call.done, call.ended, call.outcome = record, record.i, cast("Outcome", outcome)
        if outcome == "ok" and not record.duplicate:
            call.confirmed = record.i

    def _probe(self, record: Record, _: str) -> None:
        self.probes.add(record.call)

    def finish(self) -> None:
        """Resolve what only the whole history tells."""
        for number in self.probes & self.index.calls.keys():
            self.index.calls[number].probe = True
        for calls in self.index.events.values():
            for call in calls:
                if call.outcome in {"open", "indeterminate"}:
                    call.confirmed = _confirmed_by_duplicate(call, calls)


def _confirmed_by_duplicate(call: Call, calls: list[Call]) -> int:
    """When a later call answered duplicate proves that this one's copy was stored, or NEVER."""
    for later in calls:
        if later.i > call.i and later.duplicate and later.done is not None:
            at = later.done.i
            rivals = (c for c in calls if c is not call and not c.refused and not c.duplicate and c.i < at)
            return NEVER if any(rivals) else at
    return NEVER
