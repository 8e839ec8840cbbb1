"""L1, L2: the broker still moves. A hang is judged by probes, within T = `within` of the header."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from eventproof.conformance.history.entities import NANOSECONDS, NEVER, Call, Group, Session
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.owed import owed
from eventproof.conformance.history.record import Record
from eventproof.conformance.rules.rule import Tally, rule


def _stuck_consumer(index: Index, tally: Tally) -> None:
    """A confirmed probe was not handed out to a group within T, though a session of the group waited for it
    all that time and got no other new event. T counts from the latest of the probe's confirm, the last heal,
    the first next of the session and the last first hand-out of another event. It ends with a fault that is
    never healed. Void if the history ends earlier. Exercised: confirmed probes and groups owed them."""
    probes = [call for call in index.calls.values() if call.probe and call.outcome == "ok"]
    for group in index.groups.values():
        arrivals = sorted(copy.first.t for copy in group.copies) if probes else []
        for probe in probes:
            if owed(index, probe, group):
                tally.exercise(index.faults.lie(0, probe.i))
                _judge_probe(index, tally, group, probe, arrivals)


def _judge_probe(index: Index, tally: Tally, group: Group, probe: Call, arrivals: list[int]) -> None:
    copy, done = group.delivered(probe.number), probe.done
    if done is None or probe.number in group.dead:
        return
    seen = copy.first.record if copy is not None else _given_up(index, group)
    if seen.i > index.faults.lasting:
        seen, copy = _record(index, index.faults.lasting), None
    until = seen.t
    since = _waiting_since(index, group, done, seen.i)
    if since is None:
        return
    at = bisect_right(arrivals, until - 1)
    since = max(since, arrivals[at - 1]) if at else since
    waited, limit = until - since, _limit(index)
    if waited <= limit:
        tally.void += copy is None
        return
    if waited <= limit + index.slack_over(since, until) and copy is not None:
        tally.void += 1
        return
    fate = "was handed out only after" if copy is not None else "was not handed out within"
    tally.violate(
        f"Probe call {probe.number} {fate} {waited / NANOSECONDS:.1f} s in group {group.name}, whose"
        " consumer was waiting.",
        (probe.i, done.i, seen.i),
        (probe.number,),
        group,
        index.faults.lie(0, probe.i),
    )


def _given_up(index: Index, group: Group) -> Record:
    """When nobody waited for an event any more: the end of the group's last session, or of the history."""
    ended = max((s.ended for s in group.sessions if s.outcome == "ok"), default=NEVER)
    return index.last if ended == NEVER else _record(index, ended)


def _record(index: Index, i: int) -> Record:
    return index.records[bisect_left(index.records, i, key=_moment)]


def _moment(record: Record) -> int:
    return record.i


def _limit(index: Index) -> int:
    return int(index.header.within * NANOSECONDS)


def _waiting_since(index: Index, group: Group, done: Record, end: int) -> int | None:
    """ns since when a session that lives until moment `end` has waited for the probe, or None if none
    does."""
    waits = [_waits(s, end) for s in group.sessions if s.outcome == "ok"]
    since = min((w for w in waits if w is not None), default=None)
    return None if since is None else max(since, done.t, _healed(index, end))


def _waits(session: Session, until: int) -> int | None:
    return session.entered.t if session.entered is not None and session.ended >= until else None


def _healed(index: Index, until: int) -> int:
    return max((t for i, t in index.faults.heals if i < until), default=0)


def _stuck_publisher(index: Index, tally: Tally) -> None:
    """No probe could be published to a topic within T of the first one that was tried after the last heal.
    Not judged while a fault is left; void if the history ends earlier.
    Exercised: topics with probes after the last heal."""
    healed = max((i for i, _ in index.faults.heals), default=0)
    for topic, calls in index.topics.items() if index.faults.lasting == NEVER else ():
        probes = [call for call in calls if call.probe and call.i > healed]
        if not probes:
            continue
        faults = index.faults.lie(0, probes[0].i)
        tally.exercise(faults)
        confirmed = [c.done for c in probes if c.outcome == "ok" and c.done is not None]
        first = min(confirmed, key=lambda r: r.i, default=None)
        start, end = probes[0].invoke, first if first is not None else index.last
        if end.t - start.t <= _limit(index) + index.slack_over(start.t, end.t):
            tally.void += first is None
            continue
        tally.violate(
            f"No probe could be published to topic {topic} within {(end.t - start.t) / NANOSECONDS:.1f} s.",
            (start.i, end.i),
            tuple(c.number for c in probes[:5]),
            faults=faults,
        )


STUCK_CONSUMER = rule("L1", "stuck consumer", _stuck_consumer)
STUCK_PUBLISHER = rule("L2", "stuck publisher", _stuck_publisher)
