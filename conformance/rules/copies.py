"""C1-C3, C8, C10: how often one stored copy is handed out to a group, and what settles it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from eventproof.conformance.history.entities import NEVER, Act, Delivery, Group
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.settled import Hold, hold
from eventproof.conformance.rules.redelivery import Redelivery, redeliveries
from eventproof.conformance.rules.rule import Tally, rule


def _after_ack(index: Index, tally: Tally) -> None:
    """Handed out again, not permitted, after an ack or a reject of the copy was confirmed. Where acks are
    only sent, a session, link or broker fault after the ack makes the judgement void.
    Exercised: copies settled by an ack or a reject."""
    for group in index.groups.values():
        for copy in group.copies:
            if copy.closed != NEVER:
                tally.exercise(index.faults.lie(copy.closed, NEVER, copy.deliveries[-1].session.process))
    for found in redeliveries(index):
        act = found.settlement
        if act is None:
            continue
        tally.void += found.verdict == "unsure"
        if found.verdict == "settled":
            faults = index.faults.lie(act.ended, found.again.i, found.previous.session.process)
            _report(found, tally, f"after its {act.verb} had returned", (act.invoke.i, act.ended), faults)


def _spurious(index: Index, tally: Tally) -> None:
    """Handed out again, not permitted, in the session that still holds it unsettled.
    Exercised: redeliveries in the same session of a copy that was not settled."""
    _judge_held(index, tally, same=True)


def _double_lease(index: Index, tally: Tally) -> None:
    """Handed out again, not permitted, in another session than the one that still holds it unsettled.
    Exercised: hand-outs while two or more sessions of the group were live."""
    for group in index.groups.values():
        tally.exercised += _contended(group)
    _judge_held(index, tally, same=False)


def _judge_held(index: Index, tally: Tally, *, same: bool) -> None:
    for found in redeliveries(index):
        if found.settlement is not None or (found.previous.session is found.again.session) is not same:
            continue
        tally.exercised += same
        tally.void += found.verdict == "unsure"
        if found.verdict == "held":
            where = "the same session" if same else f"session {found.previous.session.number}"
            _report(found, tally, f"while {where} still held it", ())


def _report(
    found: Redelivery, tally: Tally, why: str, moments: tuple[int, ...], faults: Sequence[str] = ()
) -> None:
    copy = found.again.copy
    tally.violate(
        f"Group {copy.group.name} was handed {copy.name} again in session {found.again.session.number}"
        f" {why}.",
        (found.previous.i, *moments, found.again.i),
        copy.calls,
        copy.group,
        faults,
    )


def _contended(group: Group) -> int:
    if len(group.sessions) == 1:
        return 0
    starts = sorted(s.done.i for s in group.sessions if s.done is not None and s.outcome == "ok")
    ends = sorted(s.ended for s in group.sessions if s.outcome == "ok")
    moments = (d.i for s in group.sessions for d in s.deliveries)
    return sum(1 for i in moments if bisect_left(starts, i) - bisect_left(ends, i) > 1)


def _stale_ack(index: Index, tally: Tally) -> None:
    """The ack of a hand-out returned although it was invoked after the next hand-out of the copy to the
    group. Void where acks are only sent, since a return then says nothing, and where the lease of the older
    hand-out may or may not have ended.
    Exercised: acks invoked after the next hand-out."""
    for copy in index.redelivered:
        for delivery, following in pairwise(copy.deliveries):
            for act in _stale(delivery, following):
                faults = index.faults.lie(delivery.i, act.invoke.i, delivery.session.process)
                tally.exercise(faults)
                if act.outcome == "ok":
                    _judge_stale(index, tally, delivery, following, act, faults)


def _judge_stale(
    index: Index, tally: Tally, delivery: Delivery, following: Delivery, act: Act, faults: Sequence[str]
) -> None:
    if index.claims.ack == "sent" or hold(index, delivery, act.invoke) is Hold.UNSURE:
        tally.void += 1
        return
    number, copy = delivery.record.delivery, delivery.copy
    tally.violate(
        f"The ack of delivery {number} ({copy.name}) returned after group {copy.group.name} had been"
        f" handed the event again as delivery {following.record.delivery}.",
        (delivery.i, following.i, act.invoke.i, act.ended),
        copy.calls,
        copy.group,
        faults,
    )


def _stale(delivery: Delivery, following: Delivery) -> Iterator[Act]:
    """The acks invoked after the following hand-out, up to the first of the delivery's acks that returned:
    the same again is a no-op."""
    for act in delivery.acts:
        if act.verb == "ack":
            if act.invoke.i > following.i:
                yield act
            if act.outcome == "ok":
                return


def _twice(index: Index, tally: Tally) -> None:
    """One copy handed out to a group more than once.
    Exercised: delivered copies."""
    for group in index.groups.values():
        tally.exercised += len(group.copies)
    for copy in index.redelivered:
        tally.violate(
            f"Group {copy.group.name} was handed {copy.name} {len(copy.deliveries)} times.",
            tuple(d.i for d in copy.deliveries[:10]),
            copy.calls,
            copy.group,
        )


AFTER_ACK = rule("C1", "redelivered after ack", _after_ack)
SPURIOUS = rule("C2", "spurious redelivery", _spurious)
DOUBLE_LEASE = rule("C3", "double lease", _double_lease)
STALE_ACK = rule("C8", "stale ack accepted", _stale_ack)
TWICE = rule("C10", "twice", _twice)
