"""D1, D1p, D3, A7: the order of first hand-outs. A lane is the events of one key, or of the whole topic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from itertools import combinations

from eventproof.conformance.history.entities import Delivery, Group
from eventproof.conformance.history.faults import between
from eventproof.conformance.history.index import Index
from eventproof.conformance.rules.inversions import (
    Lane,
    Pair,
    disagreements,
    following,
    inversions,
    lanes,
    overlapping,
    topic_lane,
)
from eventproof.conformance.rules.rule import Tally, rule


def _reordered(index: Index, tally: Tally) -> None:
    """Of one key, m1 was confirmed before m2 was invoked, but m2 was surely handed out to a group first. An
    event without a key has no order; a change of the topic's partitions starts anew.
    Exercised: first hand-outs of events published after another one of their key was confirmed."""
    for group in index.groups.values():
        for lane in lanes(group).values():
            _judge(index, tally, group, lane)


def _reordered_pipelined(index: Index, tally: Tally) -> None:
    """Of one key and publisher, m1 was invoked before m2, both confirmed, but m2 was surely handed out to a
    group first.
    Exercised: first hand-outs of events published while an earlier one of the same key and publisher was
    open."""
    for group in index.groups.values():
        for lane in lanes(group).values():
            for own in _by_publisher(lane) if len(lane) > len(lane.publishers) else ():
                _judge(index, tally, group, own, pipelined=True)


def _inverted(index: Index, tally: Tally) -> None:
    """D1 over the whole topic, with or without keys.
    Exercised: first hand-outs of events published after another one of the topic was confirmed."""
    for group in index.groups.values():
        _judge(index, tally, group, topic_lane(group))


def _by_publisher(lane: Lane) -> Iterable[Lane]:
    found: defaultdict[str, Lane] = defaultdict(Lane)
    for delivery in lane.deliveries:
        call = delivery.copy.call
        if call is not None and call.outcome == "ok" and not call.duplicate:
            found[call.process].add(delivery, call)
    return found.values()


def _judge(index: Index, tally: Tally, group: Group, lane: Lane, *, pipelined: bool = False) -> None:
    for part in _unchanged(index, group, lane):
        tally.exercised += overlapping(part) if pipelined else following(part)
        for late, early in inversions(part, part.invoked if pipelined else part.confirmed):
            _report(tally, group, late, early)


def _unchanged(index: Index, group: Group, lane: Lane) -> Iterable[Lane]:
    """The lane, cut where the topic changed; what was under way at a change is in no part."""
    changed = index.faults.changed.get(group.topic)
    if not changed:
        return (lane,)
    parts: defaultdict[int, Lane] = defaultdict(Lane)
    for delivery in lane.deliveries:
        call = delivery.copy.call
        if call is not None:
            start = between(changed, 0, call.i)
            if start == between(changed, 0, min(call.confirmed, delivery.i)):
                parts[start].add(delivery, call)
    return parts.values()


def _report(tally: Tally, group: Group, late: Delivery, early: Delivery) -> None:
    first, second = late.copy.call, early.copy.call
    if first is None or second is None:
        return
    key = f" of key {late.copy.key!r}" if late.copy.key and late.copy.key == early.copy.key else ""
    confirmed = (first.confirmed,) if first.confirmed < second.i else ()
    tally.violate(
        f"Group {group.name} was handed call {second.number}{key} before call {first.number}, which had"
        f" been {'confirmed' if confirmed else 'invoked'} before call {second.number} was invoked.",
        (first.i, *confirmed, second.i, early.i, late.i),
        (first.number, second.number),
        group,
    )


def _disagreement(index: Index, tally: Tally) -> None:
    """Two groups of a topic were surely handed two copies in opposite order: of one key, or of the whole
    topic where that is its order scope.
    Exercised: copies handed to two groups that follow another one of their lane."""
    whole = index.claims.ordering.scope == "topic"
    for one, other in combinations(index.groups.values(), 2):
        if one.topic != other.topic:
            continue
        ours = _named(one)
        theirs = _named(other)
        lanes: dict[str, list[Hashable]] = {}
        for name, delivery in theirs.items():
            if name in ours and (whole or delivery.copy.key):
                lanes.setdefault("" if whole else delivery.copy.key, []).append(name)
        for lane in lanes.values():
            tally.exercised += len(lane) - 1
            for here, there in disagreements(ours, theirs, lane):
                _report_disagreement(tally, one, other, here, there)


def _named(group: Group) -> dict[Hashable, Delivery]:
    """First hand-outs by copy, in order."""
    return {
        (copy.call.number, copy.first.record.partition, copy.first.record.position): copy.first
        for copy in group.copies
        if copy.call is not None
    }


def _report_disagreement(tally: Tally, one: Group, other: Group, here: Pair, there: Pair) -> None:
    before, after = here[0].copy, here[1].copy
    tally.violate(
        f"Group {one.name} was handed {before.name} before {after.name}, group {other.name} after it.",
        tuple(d.i for d in (*here, *there)),
        before.calls + after.calls,
        other,
    )


REORDERED = rule("D1", "reorder", _reordered)
REORDERED_PIPELINED = rule("D1p", "reorder of pipelined publishes", _reordered_pipelined)
INVERTED = rule("D3", "real-time inversion", _inverted)
DISAGREEMENT = rule("A7", "disagreement", _disagreement)
