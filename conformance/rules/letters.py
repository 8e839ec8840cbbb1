"""E7: what a dead letter keeps and tells, and that there is one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eventproof.conformance.history.entities import Delivery, Group
from eventproof.conformance.history.faults import between
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.record import Record
from eventproof.conformance.history.settled import losses_since
from eventproof.conformance.rules.deadletter import excused
from eventproof.conformance.rules.rule import Tally, rule

REASONS = frozenset({"rejected", "attempts", "expired", "undecodable", "schema"})


def _bad(index: Index, tally: Tally) -> None:
    """A dead letter that does not keep what it was made of: identity, data, attributes. One of a message
    that could not be decoded had none. Exercised: dead letters read."""
    _judge_each(index, tally, _spoiled)


def _wrong_cause(index: Index, tally: Tally) -> None:
    """A dead letter that tells another reason, number of attempts or error than what happened, or names no
    group of the run. The number may be higher by L where the attempts were exhausted, and is not compared
    where nobody was handed the event. Exercised: dead letters read."""
    for record in index.strays:
        tally.exercised += 1
        tally.violate(f"A dead letter names group {record.group!r}, which is none of this run.", (record.i,))
    _judge_each(index, tally, _wrong_account)


def _second(index: Index, tally: Tally) -> None:
    """Dead letters of one call for one group at two positions, or at more than the group was handed copies.
    Excused as in E6; a group that was deleted begins anew.
    Exercised: dead letters of calls that have a position."""
    for group in index.groups.values():
        for number, records in group.dead.items():
            since = [r for r in records if r.i > group.deleted]
            for found in (records[: len(records) - len(since)], since) if number else ():
                tally.exercised += len(_places(found))
                _judge_number(index, tally, group, number, found)


def _judge_each(index: Index, tally: Tally, flaw: Callable[[Index, Group, Record], str]) -> None:
    for group in index.groups.values():
        for record in _letters(group):
            tally.exercised += 1
            what = flaw(index, group, record)
            if what:
                _report(tally, group, record, what)


def _letters(group: Group) -> Iterator[Record]:
    """The group's dead letters, each once however often it was read."""
    for records in group.dead.values():
        yield from {(r.partition, r.position, r.digest): r for r in records}.values()


def _places(records: list[Record]) -> dict[tuple[int, str], Record]:
    return {(r.partition, r.position): r for r in records if r.position}


def _report(tally: Tally, group: Group, record: Record, what: str) -> None:
    handed = tuple(d.i for c in group.copies_of(record.call) for d in c.deliveries)[-5:]
    name = f"call {record.call}" if record.call else f"event {record.event!r}"
    tally.violate(
        f"The dead letter of {name} for group {group.name} {what}.",
        (*handed, record.i),
        (record.call,) if record.call else (),
        group,
    )


def _judge_number(index: Index, tally: Tally, group: Group, number: int, records: list[Record]) -> None:
    copies, places = group.copies_of(number), _places(records)
    surplus = len(places) - max(1, len(copies))
    if surplus < 1 or index.claims.dead_letter in {"none", "at-least-one"}:
        return
    until = records[-1].i
    forgiven = (
        excused(index, copies[0], until, surplus)
        if copies
        else _torn_unseen(index, group, number, until, surplus)
    )
    if not forgiven:
        tally.violate(
            f"Call {number} has {len(places)} dead letters for group {group.name}; one is allowed.",
            tuple(r.i for r in places.values()),
            (number,),
            group,
        )


def _torn_unseen(index: Index, group: Group, number: int, until: int, times: int) -> bool:
    """Whether a crash or a cut may have torn the settlement of an event that was handed to nobody."""
    call = index.calls.get(number)
    if call is None or times > 1 or index.claims.dead_letter == "one-across-crash":
        return False
    crashed = any(call.i < s.ended < until and not s.orderly for s in group.sessions)
    return crashed or between(index.faults.all, call.i, until) > 0


def _spoiled(index: Index, group: Group, record: Record) -> str:  # noqa: ARG001 - as _wrong_account
    """What the dead letter did not keep, or "" if nothing is wrong with it."""
    call = index.calls.get(record.call)
    if record.reason == "undecodable" and call is None:
        return ""
    if call is None or (record.event and record.event != call.invoke.event):
        return "does not carry the identity of a published event"
    if record.digest and call.invoke.digest and record.digest != call.invoke.digest:
        return "differs in content from what was published"
    return ""


def _wrong_account(index: Index, group: Group, record: Record) -> str:
    """What the dead letter tells wrongly, or "" if nothing is wrong with it."""
    if record.reason not in REASONS:
        return f"gives {record.reason!r} as its reason, which is none of the protocol's"
    if record.call not in index.calls:
        return ""
    handed = ((n, d) for c in group.copies_of(record.call) for n, d in enumerate(c.deliveries, 1))
    deliveries = [(n, d) for n, d in handed if d.i < record.i]
    if record.reason == "rejected":
        return _wrong_reject(deliveries, record)
    if record.reason == "attempts" and deliveries:
        low, high = _bounds(index, deliveries, record)
        if not low <= record.attempt <= high:
            return f"counts {record.attempt} attempts, where between {low} and {high} took place"
    return ""


def _wrong_reject(deliveries: list[tuple[int, Delivery]], record: Record) -> str:
    said = [(n, d, a) for n, d in deliveries for a in d.acts if a.verb == "reject"]
    if not said:
        return "gives 'rejected' as its reason, though nobody rejected the event"
    told = [(n, d) for n, d, a in said if a.told == record.error]
    if not told:
        return f"carries the error {record.error!r}, not the reason of the reject"
    if record.attempt not in {number for n, d in told for number in (n, d.record.attempt)}:
        return f"counts {record.attempt} attempts, not those of the rejected one"
    return ""


def _bounds(index: Index, deliveries: list[tuple[int, Delivery]], record: Record) -> tuple[int, int]:
    number, last = deliveries[-1]
    seen = max(d.record.attempt for _, d in deliveries)
    low = min(number, last.record.attempt or number)
    return low, max(seen, number + losses_since(index, last.copy, record.i))


BAD = rule("E7", "bad dead letter", _bad)
WRONG_CAUSE = rule("E7c", "wrong cause of death", _wrong_cause)
SECOND = rule("E7n", "second dead letter", _second)
