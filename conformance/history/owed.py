"""What a group is owed, and the proof that nothing more arrives.

A call is owed to a group if its copy is surely stored (confirmed and not answered duplicate, or seen
somewhere), the group's topic and type filter match, and it lies after the group's start. Events that
expire within the history, or that a fault may have taken which `survives` does not cover, are not owed.
"""

from __future__ import annotations

from eventproof.conformance.history.entities import NANOSECONDS, NEVER, Call, Group
from eventproof.conformance.history.faults import after
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.record import Record

ZERO = ("pending", "in_flight", "pending_again", "in_flight_again")


def stored(call: Call, calls: list[Call]) -> bool:
    """Whether the call's own copy is surely stored. `calls`: those of its event. When the broker does not
    say whether it is a duplicate, that is open if another one, not refused, was invoked before the answer."""
    if call.seen and not call.refused:
        return True
    if call.outcome != "ok" or call.duplicate:
        return False
    others = (c for c in calls if c is not call and not c.refused)
    return call.duplicate is False or not any(c.i < call.ended for c in others)


def owed(index: Index, call: Call, group: Group) -> bool:
    """Whether the group must get the call's event."""
    invoke = call.invoke
    if call.outcome != "ok" and not call.seen:
        return False
    if invoke.topic != group.topic or not group.wants(invoke.type) or group.subscribed == NEVER:
        return False
    late = group.policy.start == "latest" and call.i < group.subscribed
    if late or call.i < group.deleted or 0 < invoke.expires <= index.last.t + index.slack:
        return False
    if after(index.faults.uncovered("messages"), call.i) != NEVER:
        return False
    calls = index.events.get((invoke.topic, invoke.event), [call]) if call.repeated else [call]
    return stored(call, calls) and not consumed_before(index, call, group)


def consumed_before(index: Index, call: Call, group: Group) -> bool:
    """Whether the claimed deduplication at the consumer may have taken the copy, at first or when it was due
    again: the group got another call of the event, not longer ago than the window."""
    dedup = index.claims.consume_dedup
    if dedup.scope == "none" or not call.repeated:
        return False
    calls = index.events.get((call.invoke.topic, call.invoke.event), ())
    window = NEVER if dedup.window is None else int(dedup.window * NANOSECONDS) + index.slack
    for other in calls:
        copy = group.delivered(other.number)
        if other is call or (dedup.scope == "key" and other.invoke.key != call.invoke.key):
            continue
        last = max((d.t for d in copy.deliveries), default=0) if copy is not None else None
        dead = max((r.t for r in group.dead.get(other.number, ())), default=None)
        moments = [t for t in (last, dead) if t is not None]
        if moments and call.invoke.t - max(moments) <= window:
            return True
    return False


def owed_calls(index: Index, group: Group) -> list[Call]:
    """All calls that the group must get, in the order of their invokes; remembered."""
    known = index.remembered.get(group)
    if known is None:
        known = [call for call in index.topics.get(group.topic, ()) if owed(index, call, group)]
        index.remembered[group] = known
    return known


def missing(index: Index, group: Group) -> list[Call]:
    """Calls owed to the group and neither delivered nor dead-lettered to it."""
    dead, delivered = group.dead, group.delivered
    return [
        call
        for call in owed_calls(index, group)
        if delivered(call.number) is None and call.number not in dead
    ]


def drained(index: Index, group: Group) -> int:
    """The last proof that nothing more arrives for the group, or 0."""
    return max((r.i for r in group.drained if proven(index, r, group.waits)), default=0)


def dead_drained(index: Index, topic: str) -> int:
    """The last proof that nothing more arrives in a dead-letter topic, or 0. It has no leases to wait for."""
    return max((r.i for r in index.dead_drained.get(topic, ()) if proven(index, r, 0)), default=0)


def proven(index: Index, record: Record, waits: int) -> bool:
    """Whether the numbers of a drained record prove it: twice idle, nothing stored in between, further
    apart than `waits` ns; or, without counters, silence for as long as redeliveries may take."""
    numbers = record.numbers
    if "silence_ns" in numbers and "pending" not in numbers:
        return numbers["silence_ns"] >= int(index.claims.redelivery.within * NANOSECONDS)
    idle = all(numbers.get(name, 1) == 0 for name in ZERO)
    still = "last" in numbers and numbers["last"] == numbers.get("last_again")
    return idle and still and numbers.get("gap_ns", 0) > waits
