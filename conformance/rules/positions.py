"""B4: what a group counts as settled was settled."""

from __future__ import annotations

from collections.abc import Iterator

from eventproof.conformance.history.entities import Group
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.owed import consumed_before, owed
from eventproof.conformance.history.record import Record
from eventproof.conformance.history.settled import possibly_settled
from eventproof.conformance.rules.rule import Tally, rule


def _premature_settle(index: Index, tally: Tally) -> None:
    """The group's settled position passed a copy that it was owed or handed, and that was not even possibly
    settled then. Exercised: copies passed by a position that was read."""
    for group in index.groups.values():
        for partition in {r.partition for r in group.positions}:
            copies = sorted(_placed(index, group, partition))
            at = 0
            for record in (r for r in group.positions if r.partition == partition and r.position.isdecimal()):
                while at < len(copies) and copies[at][0] <= int(record.position):
                    tally.exercised += 1
                    _judge_passed(index, tally, group, copies[at][1], record)
                    at += 1


def _placed(index: Index, group: Group, partition: int) -> Iterator[tuple[int, int]]:
    """(position, call) of the copies in the partition that the group was owed or handed."""
    for call in index.topics.get(group.topic, ()):
        copy, done = group.delivered(call.number), call.done
        where = copy.first.record if copy is not None else done
        if where is None or where.partition != partition or not where.position.isdecimal():
            continue
        if copy is not None or (owed(index, call, group) and not call.duplicate):
            yield int(where.position), call.number


def _judge_passed(index: Index, tally: Tally, group: Group, number: int, record: Record) -> None:
    copy, call = group.delivered(number), index.calls[number]
    if number in group.dead or (copy is not None and possibly_settled(index, copy, record)):
        return
    if (copy is None and call.ended > record.i) or consumed_before(index, call, group):
        return
    handed = tuple(d.i for d in copy.deliveries if d.i < record.i) if copy is not None else ()
    tally.violate(
        f"Group {group.name} counts everything up to position {record.position} of partition"
        f" {record.partition} as settled, but call {number} at or before it was not acked.",
        (call.i, *handed[-3:], record.i),
        (number,),
        group,
    )


PREMATURE_SETTLE = rule("B4", "premature settle", _premature_settle)
