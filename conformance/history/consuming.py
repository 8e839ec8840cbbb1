"""Index what consumers did: sessions, deliveries, and how these were settled."""

from __future__ import annotations

from typing import cast

from eventproof.adapters.policy import Policy
from eventproof.conformance.history.entities import (
    NANOSECONDS,
    NEVER,
    Act,
    Copy,
    Delivery,
    Group,
    Outcome,
    Session,
    Verb,
)
from eventproof.conformance.history.index import OUTCOMES, Handlers, Index
from eventproof.conformance.history.record import Record

SETTLING = frozenset({"ack", "reject"})
VERBS = ("ack", "nack", "reject", "extend")
ENDS = ("session.closed", "session.lost", "session.ended")


class Consuming:
    """Handles the records of subscriptions, hand-outs and settlements."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def handlers(self) -> Handlers:
        """By kind of record."""
        return {
            "subscribe.invoke": (self._subscribe, ""),
            **{f"subscribe.{outcome}": (self._subscribed, outcome) for outcome in OUTCOMES},
            "next.invoke": (self._next, ""),
            "deliver": (self._deliver, ""),
            **{f"{verb}.invoke": (self._act, verb) for verb in VERBS},
            **{f"{verb}.{outcome}": (self._acted, outcome) for verb in VERBS for outcome in OUTCOMES},
            "lease.lost": (self._lease_lost, ""),
            **dict.fromkeys(ENDS, (self._session_end, "")),
            "consumer.killing": (self._process_dying, ""),
            "consumer.killed": (self._process_end, ""),
            "consumer.paused": (self._process_pause, ""),
            "consumer.resumed": (self._process_resume, ""),
        }

    def _subscribe(self, record: Record, _: str) -> None:
        if record.session in self.index.sessions or record.session < 1:
            self.index.defect(record, f"uses session number {record.session} again")
            return
        group = self._group(record)
        session = self.index.sessions[record.session] = Session(record, group)
        group.sessions.append(session)
        group.subscribing = min(group.subscribing, record.i)
        group.first_subscribing = min(group.first_subscribing, record.i)

    def _group(self, record: Record) -> Group:
        """The group that the record names; one that the header does not know has the default policy."""
        name = (record.topic, record.group)
        if name not in self.index.groups:
            self.index.groups[name] = Group(record.group, record.topic, Policy())
        return self.index.groups[name]

    def _subscribed(self, record: Record, outcome: str) -> None:
        session = self.index.sessions.get(record.session)
        if session is None or session.done is not None:
            self.index.defect(
                record, f"completes the subscribe of session {record.session}, which is not open"
            )
            return
        session.done, session.outcome = record, cast("Outcome", outcome)
        if outcome == "ok":
            session.group.subscribed = min(session.group.subscribed, record.i)

    def _next(self, record: Record, _: str) -> None:
        session = self.index.sessions.get(record.session)
        if session is None or session.outcome != "ok":
            self.index.defect(record, f"is of session {record.session}, which was not entered")
            return
        session.asked = record
        if session.entered is None:
            session.entered = record

    def _deliver(self, record: Record, _: str) -> None:
        index = self.index
        session = index.sessions.get(record.session)
        if session is None or session.asked is None:
            self.index.defect(record, f"completes a next of session {record.session}, which has none open")
            return
        if record.delivery in index.deliveries:
            self.index.defect(record, f"uses delivery number {record.delivery} again")
            return
        call = index.calls.get(record.call)
        copy = session.group.copy_of(record, call)
        delivery = index.deliveries[record.delivery] = Delivery(record, session, copy, session.asked)
        session.asked = None
        copy.deliveries.append(delivery)
        session.deliveries.append(delivery)
        if call is not None:
            call.see(record.t)
        lane = session.group.lanes.get(copy.key)
        if lane is None:
            session.group.lanes[copy.key] = [delivery]
        else:
            lane.append(delivery)

    def _act(self, record: Record, verb: str) -> None:
        delivery = self.index.deliveries.get(record.delivery)
        if delivery is None:
            self.index.defect(record, f"is of delivery {record.delivery}, which was not handed out")
            return
        act = Act(record, cast("Verb", verb))
        delivery.acts = [*delivery.acts, act] if delivery.acts else (act,)
        if verb in SETTLING and delivery.copy.settled == NEVER:
            delivery.copy.settled = record.i
        if record.delay >= 0:
            group = delivery.session.group
            group.waits = max(group.waits, int(record.delay * NANOSECONDS))

    def _acted(self, record: Record, outcome: str) -> None:
        delivery = self.index.deliveries.get(record.delivery)
        verb = record.kind[: record.kind.index(".")]
        for act in delivery.acts if delivery is not None else ():
            if act.done is None and act.verb == verb:
                act.done, act.outcome = record, cast("Outcome", outcome)
                break
        else:
            self.index.defect(record, f"completes an act on delivery {record.delivery}, which has none open")
            return
        if delivery is None:
            return
        if outcome == "ok" and verb in SETTLING and delivery.copy.closed == NEVER:
            delivery.copy.closed = record.i
        if outcome == "rejected":
            delivery.copy.settled = _settled(delivery.copy)
            if record.reason == "lease-expired":
                delivery.lost = min(delivery.lost, record.i)

    def _lease_lost(self, record: Record, _: str) -> None:
        delivery = self.index.deliveries.get(record.delivery)
        if delivery is None:
            self.index.defect(record, f"is of delivery {record.delivery}, which was not handed out")
        else:
            delivery.lost = min(delivery.lost, record.i)

    def _session_end(self, record: Record, _: str) -> None:
        session = self.index.sessions.get(record.session)
        if session is None:
            self.index.defect(record, f"is of session {record.session}, which is unknown")
            return
        if record.kind == "session.ended":
            self.index.others[record.kind].append(record)
        self._end(session, record)

    def _process_dying(self, record: Record, _: str) -> None:
        self.index.faults.dying(record)

    def _process_end(self, record: Record, _: str) -> None:
        self.index.faults.died(record)
        for session in self.index.sessions.values():
            if session.process == record.process:
                self._end(session, record)

    @staticmethod
    def _end(session: Session, record: Record) -> None:
        if session.ended == NEVER:
            session.ended = record.i
            session.orderly = record.kind == "session.closed"
            session.asked = session.asked if session.orderly else None

    def _process_pause(self, record: Record, _: str) -> None:
        self.index.faults.strike(record)
        self.index.faults.pause(record)
        for session in self.index.sessions.values():
            if session.process == record.process and session.ended == NEVER:
                session.group.pauses.setdefault(record.process, []).append((record.i, NEVER))

    def _process_resume(self, record: Record, _: str) -> None:
        self.index.faults.heal(record)
        for group in self.index.groups.values():
            spans = group.pauses.get(record.process, ())
            group.pauses[record.process] = [(a, min(b, record.i)) for a, b in spans]


def _settled(copy: Copy) -> int:
    acts = (act for delivery in copy.deliveries for act in delivery.acts)
    return min((a.invoke.i for a in acts if a.verb in SETTLING and not a.refused), default=NEVER)
