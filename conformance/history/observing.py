"""Index what was seen beside the port's calls: dead letters, drains, logs, positions, faults."""

from __future__ import annotations

from eventproof.conformance.history.entities import NEVER
from eventproof.conformance.history.index import Handlers, Index
from eventproof.conformance.history.record import Record

KEPT = ("adapter.error", "stall", "publish.raw", "end")
FAULTS = ("broker.killed", "broker.stopped", "broker.paused", "link.cut")
HEALS = ("broker.resumed", "broker.ready", "link.healed")


class Observing:
    """Handles the records of what was read from the broker and of what befell it."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def handlers(self) -> Handlers:
        """By kind of record."""
        return {
            "dead": (self._dead, ""),
            "drained": (self._drained, ""),
            "log.read": (self._log, ""),
            "group.position": (self._position, ""),
            "group.deleted": (self._group_deleted, ""),
            "topic.changed": (self._topic_changed, ""),
            **dict.fromkeys(KEPT, (self._keep, "")),
            **dict.fromkeys(FAULTS, (self._fault, "")),
            **dict.fromkeys(HEALS, (self._heal, "")),
        }

    def _dead(self, record: Record, _: str) -> None:
        call = self.index.calls.get(record.call)
        if call is not None:
            call.see(record.t)
        group = self.index.groups.get((record.topic, record.group))
        if group is None:
            self.index.strays.append(record)
        else:
            group.dead.setdefault(record.call, []).append(record)

    def _drained(self, record: Record, _: str) -> None:
        if not record.group:
            self.index.dead_drained[record.topic].append(record)
            return
        group = self.index.groups.get((record.topic, record.group))
        if group is None:
            self.index.defect(record, f"is of group {record.group!r}, which is unknown")
        else:
            group.drained.append(record)

    def _log(self, record: Record, _: str) -> None:
        self.index.logs[record.topic] = record
        for entry in record.entries:
            call = self.index.calls.get(entry.call)
            if call is not None:
                call.see(record.t)

    def _position(self, record: Record, _: str) -> None:
        group = self.index.groups.get((record.topic, record.group))
        if group is None:
            self.index.defect(record, f"is of group {record.group!r}, which is unknown")
        else:
            group.positions.append(record)

    def _group_deleted(self, record: Record, _: str) -> None:
        group = self.index.groups.get((record.topic, record.group))
        if group is not None:
            group.deleted = record.i
            group.subscribing = group.subscribed = NEVER

    def _topic_changed(self, record: Record, _: str) -> None:
        self.index.faults.changed[record.topic].append(record.i)

    def _fault(self, record: Record, _: str) -> None:
        self.index.faults.add(record)

    def _heal(self, record: Record, _: str) -> None:
        self.index.faults.heal(record)

    def _keep(self, record: Record, _: str) -> None:
        self.index.others[record.kind].append(record)
