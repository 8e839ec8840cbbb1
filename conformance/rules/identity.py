"""A: what was delivered is what was published, where and when it belongs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from eventproof.conformance.history.entities import Call, Copy, Delivery, Session
from eventproof.conformance.history.faults import between
from eventproof.conformance.history.index import Index
from eventproof.conformance.rules.rule import Tally, rule


def _copies(index: Index) -> Iterator[Copy]:
    for group in index.groups.values():
        yield from group.copies


def _phantom(index: Index, tally: Tally) -> None:
    """A delivered copy whose call has no earlier publish.invoke.
    Exercised: delivered copies."""
    for copy in _copies(index):
        tally.exercised += 1
        if copy.call is None or copy.call.i > copy.first.i:
            record = copy.first.record
            tally.violate(
                f"Group {copy.group.name} was handed event {record.event!r}, which nobody had published.",
                (record.i,),
                (record.call,) if record.call else (),
                copy.group,
            )


def _aborted(index: Index, tally: Tally) -> None:
    """Delivered, though every publish call of the event was rejected.
    Exercised: rejected publish calls; of those in flight at a fault, all."""
    tally.exercised = sum(1 for call in index.calls.values() if call.refused)
    for publish in index.calls.values() if index.faults.breaks else ():
        for fault in index.faults.during(publish):
            tally.under[fault].exercised += 1
    if not tally.exercised:
        return
    for copy in _copies(index):
        call = copy.call
        if call is not None and call.refused and all(c.refused for c in _siblings(index, call)):
            tally.violate(
                f"Group {copy.group.name} was handed call {call.number}, though its publish was rejected.",
                (call.i, call.done.i if call.done is not None else call.i, copy.first.i),
                copy.calls,
                copy.group,
                index.faults.during(call),
            )


def _siblings(index: Index, call: Call) -> list[Call]:
    return index.events[call.invoke.topic, call.invoke.event] if call.repeated else [call]


def _corrupted(index: Index, tally: Tally) -> None:
    """The digest of a delivery's data and attributes, or its identity, type or key, differs from what its
    call published. Exercised: deliveries."""
    for delivery in index.deliveries.values():
        call = delivery.copy.call
        if call is None:
            continue
        tally.exercised += 1
        what = _difference(call, delivery)
        if what:
            tally.violate(
                f"Group {delivery.copy.group.name} was handed call {call.number} with another {what} than"
                " published.",
                (call.i, delivery.i),
                delivery.copy.calls,
                delivery.copy.group,
            )


def _difference(call: Call, delivery: Delivery) -> str:
    sent, got = call.invoke, delivery.record
    if sent.digest != got.digest and sent.digest and got.digest:
        return "content"
    if sent.event != got.event:
        return "identity"
    if sent.type != got.type:
        return "type"
    return "partition key" if sent.key != got.key else ""


def _misrouted(index: Index, tally: Tally) -> None:
    """Delivered to a group whose topic or type filter does not match.
    Exercised: delivered copies of groups with a filter or beside another topic."""
    for group in index.groups.values():
        if group.policy.types or index.topics.keys() - {group.topic}:
            tally.exercised += len(group.copies)
            for copy in group.copies:
                _judge_route(copy, tally)


def _judge_route(copy: Copy, tally: Tally) -> None:
    call, group = copy.call, copy.group
    if call is None or (call.invoke.topic == group.topic and group.wants(call.invoke.type)):
        return
    why = (
        f"of type {call.invoke.type}, which its filter excludes"
        if call.invoke.topic == group.topic
        else f"of topic {call.invoke.topic}, while it reads {group.topic}"
    )
    tally.violate(
        f"Group {group.name} was handed call {call.number} {why}.", (call.i, copy.first.i), copy.calls, group
    )


def _contradicted(index: Index, tally: Tally) -> None:
    """A member joined with a policy that contradicts its group's.
    Exercised: contradicting joins of groups that were there, allowed or refused."""
    for session in index.sessions.values():
        if session.invoke.reason != "conflict" or not _was_there(session):
            continue
        tally.exercised += session.outcome in {"ok", "rejected"}
        if session.outcome == "ok" and session.done is not None:
            tally.violate(
                f"Session {session.number} joined group {session.group.name} with a policy that contradicts"
                " the group's.",
                (session.invoke.i, session.done.i),
                (),
                session.group,
            )


def _was_there(joining: Session) -> bool:
    """Whether a member with the group's own policy had joined it before, and it was not deleted since."""
    began, deleted = joining.invoke.i, joining.group.deleted
    since = deleted if deleted < began else 0
    members = (s for s in joining.group.sessions if s.invoke.reason != "conflict" and s.outcome == "ok")
    return any(s.done is not None and since < s.done.i < began for s in members)


def _position_conflict(index: Index, tally: Tally) -> None:
    """One position of a partition names two copies. A topic that changed starts its positions anew, and the
    receipt of what is or may be a duplicate names the original's. Exercised: positions given."""
    places: defaultdict[tuple[str, int], dict[str, tuple[int, int]]] = defaultdict(dict)
    changed = index.faults.changed
    for topic, number, partition, position, moment in _named(index):
        name = f"{between(changed[topic], 0, moment)} {position}" if topic in changed else position
        known = places[topic, partition].setdefault(name, (number, moment))
        tally.exercised += 1
        if known[0] != number:
            tally.violate(
                f"Position {position} of topic {topic} names both call {known[0]} and call {number}.",
                (known[1], moment),
                (known[0], number),
            )


def _named(index: Index) -> Iterator[tuple[str, int, int, str, int]]:
    """(topic, call, partition, position, moment) wherever a position was given anew to one of our calls."""
    for number, call in index.calls.items():
        done = call.done
        if done is not None and done.position and not _may_be_duplicate(index, call):
            yield call.invoke.topic, number, done.partition, done.position, done.i
    for copy in _copies(index):
        record, own = copy.deliveries[0].record, copy.call
        if own is None or not record.position:
            continue
        done = own.done
        if done is None or done.position != record.position or done.partition != record.partition:
            yield own.invoke.topic, record.call, record.partition, record.position, record.i
    for topic, log in index.logs.items():
        for entry in log.entries:
            if entry.position and entry.call:
                yield topic, entry.call, entry.partition, entry.position, log.i


def _may_be_duplicate(index: Index, call: Call) -> bool:
    """Whether the position of its receipt may be that of another call's copy."""
    if call.duplicate is not None or not call.repeated:
        return bool(call.duplicate)
    others = (c for c in _siblings(index, call) if c is not call and not c.refused)
    return any(c.i < call.ended for c in others)


def _before_start(index: Index, tally: Tally) -> None:
    """Handed to a group that starts at the latest event, though its publish had been confirmed before the
    group's first subscribe was invoked.
    Exercised: calls confirmed before the start of such a group."""
    for group in index.groups.values():
        if group.policy.start != "latest":
            continue
        start = group.first_subscribing
        tally.exercised += sum(1 for c in index.topics.get(group.topic, ()) if c.confirmed < start)
        for copy in group.copies:
            call = copy.call
            if call is not None and call.done is not None and call.confirmed < start:
                tally.violate(
                    f"Group {group.name} starts at the latest event but was handed call {call.number},"
                    " confirmed before it first subscribed.",
                    (call.done.i, start, copy.first.i),
                    copy.calls,
                    group,
                )


PHANTOM = rule("A1", "phantom", _phantom)
ABORTED = rule("A2", "aborted delivery", _aborted)
CORRUPTED = rule("A3", "corrupted", _corrupted)
MISROUTED = rule("A4", "misrouted", _misrouted)
CONTRADICTED = rule("A4p", "contradicted policy", _contradicted)
POSITION_CONFLICT = rule("A5", "position conflict", _position_conflict)
BEFORE_START = rule("A6", "before the start", _before_start)
