"""C4: one publish is stored once."""

from __future__ import annotations

from eventproof.conformance.history.entities import Call, Group
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.record import Record
from eventproof.conformance.rules.rule import Tally, rule


def _stored_twice(index: Index, tally: Tally) -> None:
    """One call, two positions: in a read of the log, or as handed out where positions name copies (some
    copy of the topic kept its position over a redelivery, in another group or since its confirm).
    Exercised: calls that a log read shows; in topics without one, delivered copies whose positions could be
    compared."""
    for topic, log in index.logs.items():
        places: dict[int, set[tuple[int, str]]] = {}
        for entry in log.entries:
            if entry.call in index.calls and entry.position:
                places.setdefault(entry.call, set()).add((entry.partition, entry.position))
        tally.exercised += len(places)
        for number, found in places.items():
            if len(found) > 1:
                _report_places(tally, index.calls[number], found, "The log", (log.i,), topic)
    for topic in index.topics.keys() - index.logs.keys():
        _judge_delivered(index, tally, topic)


def _judge_delivered(index: Index, tally: Tally, topic: str) -> None:
    """What the confirm and the groups say of each call's positions, unless nothing shows that they last."""
    groups = [g for g in index.groups.values() if g.topic == topic]
    compared, stable = 0, False
    split: dict[int, Call] = {}
    for group in groups:
        for copy in group.copies:
            call, record = copy.call, copy.deliveries[0].record
            if call is None or not record.position:
                continue
            known = _known(call, groups)
            compared += 1
            stable = (
                stable
                or len(copy.deliveries) > 1
                or (known is not record and known.position == record.position)
            )
            if known.position != record.position or (
                known.partition != record.partition and _both(known, record)
            ):
                split[call.number] = call
    tally.exercised += compared if stable else 0
    for call in split.values() if stable else ():
        places, moments = _places(call, groups)
        _report_places(tally, call, places, "Deliveries", moments, topic)


def _known(call: Call, groups: list[Group]) -> Record:
    """The first record that names a position of the call's copy: its confirm, or a delivery."""
    done = call.done
    if done is not None and done.position and not done.duplicate:
        return done
    found = (
        copy.first.record for g in groups for copy in g.copies_of(call.number) if copy.first.record.position
    )
    return min(found, key=lambda r: r.i)


def _both(one: Record, other: Record) -> bool:
    """Whether both name their partition."""
    return one.partition >= 0 and other.partition >= 0


def _places(call: Call, groups: list[Group]) -> tuple[set[tuple[int, str]], tuple[int, ...]]:
    """Where the call's copies were said to be, and the records that say so."""
    records = [_known(call, groups), *(c.first.record for g in groups for c in g.copies_of(call.number))]
    first = {(r.partition, r.position): r.i for r in reversed(records) if r.position}
    return set(first), tuple(sorted(first.values()))


def _report_places(
    tally: Tally, call: Call, places: set[tuple[int, str]], what: str, moments: tuple[int, ...], topic: str
) -> None:
    names = ", ".join(sorted(position for _, position in places))
    tally.violate(
        f"{what} of topic {topic} show call {call.number} stored at {len(places)} positions: {names}.",
        (call.i, *moments),
        (call.number,),
    )


STORED_TWICE = rule("C4", "stored twice", _stored_twice)
