"""Build the index in one pass. What cannot be is kept as a defect, for the rule H1, and passed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from eventproof.adapters.policy import Policy
from eventproof.conformance.history.entities import (
    NANOSECONDS,
    NEVER,
    Act,
    Call,
    Copy,
    Delivery,
    Group,
    Outcome,
    Session,
    Verb,
)
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.record import History, Record

Handler = Callable[[Record, str], None]

SETTLING = frozenset({"ack", "reject"})
OUTCOMES = ("ok", "rejected", "indeterminate")
KEPT = ("adapter.error", "stall", "publish.raw", "end")
FAULTS = ("broker.killed", "broker.paused", "link.cut")
HEALS = ("broker.resumed", "broker.ready", "link.healed", "consumer.resumed")


def build(history: History) -> Index:
    """The index of a history. Never raises for what the records say: see `Index.defects`."""
    builder = _Builder(history)
    handlers, previous = builder.handlers, None
    for record in history.records:
        if previous is not None and (record.i <= previous.i or record.t < previous.t):
            builder.defect(record, "comes before the record that precedes it")
        previous = record
        found = handlers.get(record.kind)
        if found is None:
            builder.defect(record, "is of no known kind")
        else:
            found[0](record, found[1])
    _resolve(builder.index, builder.probes)
    return builder.index


class _Builder:
    def __init__(self, history: History) -> None:
        self.index = Index(history.header, history.records)
        self.events: dict[tuple[str, str], Call] = {}
        self.probes: set[int] = set()
        for info in history.header.groups:
            self._group(info.topic, info.name, info.policy)
        self.handlers: dict[str, tuple[Handler, str]] = {
            "publish.invoke": (self._publish, ""),
            "subscribe.invoke": (self._subscribe, ""),
            "next.invoke": (self._next, ""),
            "deliver": (self._deliver, ""),
            "lease.lost": (self._lease_lost, ""),
            "session.closed": (self._session_end, ""),
            "session.lost": (self._session_end, ""),
            "session.ended": (self._session_end, ""),
            "consumer.killed": (self._process_end, ""),
            "consumer.paused": (self._process_pause, ""),
            "dead": (self._dead, ""),
            "probe": (self._probe, ""),
            "drained": (self._drained, ""),
            "log.read": (self._log, ""),
            "group.position": (self._position, ""),
            "group.deleted": (self._group_deleted, ""),
            "topic.changed": (self._topic_changed, ""),
            **{kind: (self._keep, "") for kind in KEPT},
            **{f"publish.{outcome}": (self._published, outcome) for outcome in OUTCOMES},
            **{f"subscribe.{outcome}": (self._subscribed, outcome) for outcome in OUTCOMES},
            **{f"{verb}.invoke": (self._act, verb) for verb in ("ack", "nack", "reject", "extend")},
            **{
                f"{verb}.{outcome}": (self._acted, outcome)
                for verb in ("ack", "nack", "reject", "extend")
                for outcome in OUTCOMES
            },
            **{kind: (self._fault, "") for kind in FAULTS},
            **{kind: (self._heal, "") for kind in HEALS},
        }

    def defect(self, record: Record, what: str) -> None:
        self.index.defects.append((record.i, f"{record.kind} at {record.i} {what}"))

    def _group(self, topic: str, name: str, policy: Policy) -> Group:
        group = self.index.groups[topic, name] = Group(name, topic, policy)
        return group

    def _publish(self, record: Record, _: str) -> None:
        index, number = self.index, record.call
        if number in index.calls or number < 1:
            self.defect(record, f"uses call number {number} again")
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
            self.defect(record, f"completes call {record.call}, which is not open")
            return
        call.done, call.outcome = record, cast("Outcome", outcome)
        if outcome == "ok" and not record.duplicate:
            call.confirmed = record.i

    def _subscribe(self, record: Record, _: str) -> None:
        if record.session in self.index.sessions or record.session < 1:
            self.defect(record, f"uses session number {record.session} again")
            return
        group = self.index.groups.get((record.topic, record.group)) or self._group(
            record.topic, record.group, Policy()
        )
        session = self.index.sessions[record.session] = Session(record, group)
        group.sessions.append(session)
        group.subscribing = min(group.subscribing, record.i)
        group.first_subscribing = min(group.first_subscribing, record.i)

    def _subscribed(self, record: Record, outcome: str) -> None:
        session = self.index.sessions.get(record.session)
        if session is None or session.done is not None:
            self.defect(record, f"completes the subscribe of session {record.session}, which is not open")
            return
        session.done, session.outcome = record, cast("Outcome", outcome)
        if outcome == "ok":
            session.group.subscribed = min(session.group.subscribed, record.i)

    def _next(self, record: Record, _: str) -> None:
        session = self.index.sessions.get(record.session)
        if session is None or session.outcome != "ok":
            self.defect(record, f"is of session {record.session}, which was not entered")
            return
        session.asked = record
        if session.entered is None:
            session.entered = record

    def _deliver(self, record: Record, _: str) -> None:
        index = self.index
        session = index.sessions.get(record.session)
        if session is None or session.asked is None:
            self.defect(record, f"completes a next of session {record.session}, which has none open")
            return
        if record.delivery in index.deliveries:
            self.defect(record, f"uses delivery number {record.delivery} again")
            return
        call = index.calls.get(record.call)
        copy = session.group.copy_of(record, call)
        delivery = index.deliveries[record.delivery] = Delivery(record, session, copy, session.asked)
        session.asked = None
        copy.deliveries.append(delivery)
        session.deliveries.append(delivery)
        if call is not None:
            call.seen = True
        lane = session.group.lanes.get(copy.key)
        if lane is None:
            session.group.lanes[copy.key] = [delivery]
        else:
            lane.append(delivery)

    def _act(self, record: Record, verb: str) -> None:
        delivery = self.index.deliveries.get(record.delivery)
        if delivery is None:
            self.defect(record, f"is of delivery {record.delivery}, which was not handed out")
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
            self.defect(record, f"completes an act on delivery {record.delivery}, which has none open")
            return
        if outcome == "rejected" and delivery is not None:
            delivery.copy.settled = _settled(delivery.copy)
            if record.reason == "lease-expired":
                delivery.lost = min(delivery.lost, record.i)

    def _lease_lost(self, record: Record, _: str) -> None:
        delivery = self.index.deliveries.get(record.delivery)
        if delivery is None:
            self.defect(record, f"is of delivery {record.delivery}, which was not handed out")
        else:
            delivery.lost = min(delivery.lost, record.i)

    def _session_end(self, record: Record, _: str) -> None:
        session = self.index.sessions.get(record.session)
        if session is None:
            self.defect(record, f"is of session {record.session}, which is unknown")
            return
        if record.kind == "session.ended":
            self._keep(record, "")
        self._end(session, record)

    def _process_end(self, record: Record, _: str) -> None:
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
        for session in self.index.sessions.values():
            if session.process == record.process and session.ended == NEVER:
                session.group.pauses.append(record.i)

    def _dead(self, record: Record, _: str) -> None:
        call = self.index.calls.get(record.call)
        if call is not None:
            call.seen = True
        group = self.index.groups.get((record.topic, record.group))
        if group is None:
            self.index.strays.append(record)
        else:
            group.dead.setdefault(record.call, []).append(record)

    def _probe(self, record: Record, _: str) -> None:
        self.probes.add(record.call)

    def _drained(self, record: Record, _: str) -> None:
        if not record.group:
            self.index.dead_drained[record.topic].append(record)
            return
        group = self.index.groups.get((record.topic, record.group))
        if group is None:
            self.defect(record, f"is of group {record.group!r}, which is unknown")
        else:
            group.drained.append(record)

    def _log(self, record: Record, _: str) -> None:
        self.index.logs[record.topic] = record
        for entry in record.entries:
            call = self.index.calls.get(entry.call)
            if call is not None:
                call.seen = True

    def _position(self, record: Record, _: str) -> None:
        group = self.index.groups.get((record.topic, record.group))
        if group is None:
            self.defect(record, f"is of group {record.group!r}, which is unknown")
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


def _settled(copy: Copy) -> int:
    acts = (act for delivery in copy.deliveries for act in delivery.acts)
    return min((a.invoke.i for a in acts if a.verb in SETTLING and not a.refused), default=NEVER)


def _resolve(index: Index, probes: set[int]) -> None:
    for number in probes & index.calls.keys():
        index.calls[number].probe = True
    for calls in index.events.values():
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
