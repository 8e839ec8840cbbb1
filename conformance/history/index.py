"""The one index that all rules share, and what is derived from it once.

`build.build` fills it in one pass over the records.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate

from eventproof.adapters.claims import Claims
from eventproof.conformance.history.entities import NANOSECONDS, Call, Copy, Delivery, Group, Session
from eventproof.conformance.history.faults import Faults
from eventproof.conformance.history.record import Header, Record

OUTCOMES = ("ok", "rejected", "indeterminate")
Handlers = dict[str, tuple[Callable[[Record, str], None], str]]
"""By kind of record: what takes it into the index, and its second argument (an outcome or a verb)."""


class Index:
    """A history by call, delivery, copy, session and group.

    calls: in the order of their invokes. events: the calls of each (topic, event) with several.
    logs: the last log.read of each topic. dead_drained: by dead-letter topic. strays: dead records
    that name no known group. others: records of the kinds that a single rule reads as they are.
    remembered: what `owed.owed_calls` found, by group. defects: (moment, what is wrong) for a history that
    no harness can have recorded.
    """

    def __init__(self, header: Header, records: Sequence[Record]) -> None:
        self.header = header
        self.claims: Claims = header.claims
        self.records = records
        self.slack = int(header.slack * NANOSECONDS)
        self.calls: dict[int, Call] = {}
        self.events: dict[tuple[str, str], list[Call]] = {}
        self.topics: defaultdict[str, list[Call]] = defaultdict(list)
        self.deliveries: dict[int, Delivery] = {}
        self.sessions: dict[int, Session] = {}
        self.groups: dict[tuple[str, str], Group] = {}
        self.faults = Faults(header.claims.survives)
        self.logs: dict[str, Record] = {}
        self.dead_drained: defaultdict[str, list[Record]] = defaultdict(list)
        self.strays: list[Record] = []
        self.others: defaultdict[str, list[Record]] = defaultdict(list)
        self.defects: list[tuple[int, str]] = []
        self.remembered: dict[Group, list[Call]] = {}

    def defect(self, record: Record, what: str) -> None:
        """Note that the record cannot be."""
        self.defects.append((record.i, f"{record.kind} at {record.i} {what}"))

    @property
    def last(self) -> Record:
        """The last record."""
        return self.records[-1]

    @cached_property
    def redelivered(self) -> list[Copy]:
        """Copies that were handed out to a group more than once."""
        return [copy for group in self.groups.values() for copy in group.copies if len(copy.deliveries) > 1]

    @cached_property
    def _stalls(self) -> tuple[list[int], list[int], list[int]]:
        """Starts, ends and the running total of the stalls, which do not overlap."""
        spans = [(max(0, r.t - r.numbers.get("ns", 0)), r.t) for r in self.others["stall"]]
        starts, ends = [start for start, _ in spans], [end for _, end in spans]
        return starts, ends, list(accumulate((end - start for start, end in spans), initial=0))

    def slack_over(self, start: int, end: int) -> int:
        """ns within which a judgement over the interval is void: the slack and the stalls that overlap it."""
        if not self.others["stall"]:
            return self.slack
        return self.slack + max(0, self._stalled_until(end) - self._stalled_until(start))

    def _stalled_until(self, t: int) -> int:
        starts, ends, totals = self._stalls
        at = bisect_right(starts, t)
        return totals[at] - max(0, ends[at - 1] - t) if at else 0

    @cached_property
    def _losses(self) -> dict[tuple[str, str], list[int]]:
        return {
            name: sorted({*self.faults.all, *(s.ended for s in group.sessions)})
            for name, group in self.groups.items()
        }

    def losses(self, group: Group) -> list[int]:
        """Moments at which a prefetched event can have been counted as an attempt and not handed out:
        session ends of the group, broker and link faults."""
        return self._losses[group.topic, group.name]
