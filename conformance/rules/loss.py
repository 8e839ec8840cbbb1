"""B: what a group is owed reaches it, and stays with it until it is settled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from eventproof.conformance.history.entities import NEVER, Call, Copy, Delivery, Group
from eventproof.conformance.history.faults import after
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.owed import consumed_before, drained, missing, owed_calls
from eventproof.conformance.history.settled import expired, in_settlement, released
from eventproof.conformance.rules.rule import Tally, rule


def _lost_in_the_middle(index: Index, tally: Tally) -> None:
    """A call owed to a group was neither delivered nor dead-lettered, though a later event of its lane (D1)
    was delivered. This needs no drain, and an order that is claimed. Void if another session may have been
    about to hand the call out when the history ended.
    Exercised: calls owed in a lane of which something was delivered, without those still to come."""
    for group in index.groups.values():
        overtaken = list(_overtaken(index, group))
        to_come = set(missing(index, group)) - {call for call, _ in overtaken}
        tally.exercised += sum(1 for call in _owed_in_lanes(index, group) if call not in to_come)
        for call, follower in overtaken:
            if _may_be_coming(group, follower):
                tally.void += 1
                continue
            later = follower.copy
            tally.violate(
                f"Call {call.number} never reached group {group.name}, though {later.name}, published after"
                " it was confirmed, did.",
                (call.i, call.confirmed, follower.i),
                (call.number, *later.calls),
                group,
                _faults(index, group, call, follower.i),
            )


def _overtaken(index: Index, group: Group) -> Iterator[tuple[Call, Delivery]]:
    """Missing calls that a later event of their lane overtook, with its delivery; none without an order."""
    if index.claims.ordering.scope == "none":
        return
    whole = index.claims.ordering.scope == "topic"
    latest: dict[str, Delivery | None] = {}
    for call in missing(index, group):
        key = call.invoke.key
        if call.confirmed == NEVER or not (whole or key):
            continue
        lane = "" if whole else key
        if lane not in latest:
            latest[lane] = _latest(group, None if whole else key)
        follower = latest[lane]
        if follower is None or follower.copy.call is None or follower.copy.call.i < call.confirmed:
            continue
        if after(index.faults.changed.get(group.topic, []), call.i) > follower.i:
            yield call, follower


def _latest(group: Group, key: str | None) -> Delivery | None:
    """The first hand-out of the call of the lane (None: all lanes) that was published last."""
    lanes = group.lanes.values() if key is None else (group.lanes.get(key, []),)
    firsts = (d for lane in lanes for d in lane if d.copy.first is d and d.copy.call is not None)
    return max(firsts, key=lambda d: d.copy.call.i if d.copy.call is not None else 0, default=None)


def _may_be_coming(group: Group, follower: Delivery) -> bool:
    """Whether a next of another live session, asked before the follower came, is open at the end."""
    return any(
        s.asked is not None and s.ended == NEVER and s is not follower.session and s.asked.i < follower.i
        for s in group.sessions
    )


def _lost(index: Index, tally: Tally) -> None:
    """A call owed to a group was neither delivered nor dead-lettered to it, and the group was proven drained
    after the call completed. Exercised: calls owed to a group that was drained after them."""
    for group in index.groups.values():
        proof = drained(index, group)
        for call in owed_calls(index, group) if proof else ():
            if call.ended < proof:
                tally.exercise(_faults(index, group, call, proof))
        for call, _ in _lost_calls(index, group):
            _report_lost(index, tally, group, call, proof)


def _lost_calls(index: Index, group: Group) -> Iterator[tuple[Call, int]]:
    """Missing calls with a proof of drain after them."""
    proof = drained(index, group)
    return ((call, proof) for call in missing(index, group) if call.ended < proof)


def _faults(index: Index, group: Group, call: Call, until: int) -> Sequence[str]:
    """Faults between the confirm of a call and its settlement for the group, and those that met it in flight.
    Of the group's members any: where a copy that was never handed out had been fetched nobody can tell."""
    if not index.faults.named:
        return ()
    copy = group.delivered(call.number)
    until = min(until, copy.closed) if copy is not None else until
    processes = dict.fromkeys(session.process for session in group.sessions)
    found = (index.faults.lie(call.ended, until, process) for process in processes)
    return (*dict.fromkeys(chain.from_iterable(found)), *index.faults.during(call))


def _report_lost(index: Index, tally: Tally, group: Group, call: Call, proof: int) -> None:
    fate = "was confirmed" if call.outcome == "ok" else "took effect"
    tally.violate(
        f"Call {call.number} {fate} but never reached group {group.name}, which has drained.",
        (call.i, call.ended, proof),
        (call.number,),
        group,
        _faults(index, group, call, proof),
    )


def _owed_in_lanes(index: Index, group: Group) -> Sequence[Call]:
    """Calls owed in a lane of which something was delivered."""
    return [call for call in owed_calls(index, group) if _in_lane(index, group, call)]


def _in_lane(index: Index, group: Group, call: Call) -> bool:
    """Whether something of the call's lane was delivered."""
    scope, key = index.claims.ordering.scope, call.invoke.key
    if scope == "none":
        return False
    return bool(group.copies) if scope == "topic" else bool(key) and key in group.lanes


def _proven_lost(index: Index, group: Group) -> dict[Call, int]:
    """The calls lost for the group by B1 or B2, each with the record that proves it."""
    lost = dict(_lost_calls(index, group))
    lost.update((c, d.i) for c, d in _overtaken(index, group) if not _may_be_coming(group, d))
    return lost


class Abandoned(NamedTuple):
    """A call handed out to a group and not settled; last: its last hand-out."""

    call: Call
    group: Group
    last: Delivery


def _abandoned(index: Index, group: Group) -> Iterator[Abandoned]:
    """Calls handed out to the group, not dead-lettered, and no ack or reject of which is ok, indeterminate or
    open; expired ones and those that a fault may have taken left out."""
    undone = index.faults.uncovered("messages")
    for copy in group.copies:
        call = copy.call
        if copy.settled != NEVER or call is None or call.refused or call.number in group.dead:
            continue
        copies = group.copies_of(call.number)
        if copies[0] is not copy or any(c.settled != NEVER for c in copies):
            continue  # some brokers rename a copy when they redeliver it
        last = max((d for c in copies for d in c.deliveries), key=lambda d: d.i)
        gone = group.deleted > last.i or after(undone, call.i) != NEVER
        if not gone and not expired(index, copy, index.last.t) and not consumed_before(index, call, group):
            yield Abandoned(call, group, last)


def _lost_redelivery(index: Index, tally: Tally) -> None:
    """A call was handed out to a group, which has drained since; it is not dead-lettered, and no ack or
    reject of any of its deliveries returned, is indeterminate or open.
    Exercised: copies of which a hand-out failed before the drain."""
    for group in index.groups.values():
        proof = drained(index, group)
        for copy in group.copies:
            if _failed(index, copy, proof):
                tally.exercise(_met(index, copy, proof))
        for call, _, last in _abandoned(index, group):
            if last.i < proof:
                tally.violate(
                    f"Call {call.number} was handed to group {group.name}, never settled and not handed out"
                    " again: the group has drained.",
                    (call.i, last.i, proof),
                    (call.number,),
                    group,
                    _met(index, last.copy, proof),
                )


def _met(index: Index, copy: Copy, until: int) -> Sequence[str]:
    """Faults that met a hand-out of the copy while it was not settled: of the broker, or of who held it."""
    if not index.faults.named:
        return ()
    found = (index.faults.lie(d.i, min(copy.closed, until), d.session.process) for d in copy.deliveries)
    return tuple(dict.fromkeys(chain.from_iterable(found)))


def _failed(index: Index, copy: Copy, before: int) -> bool:
    """Whether its first hand-out was nacked or taken away before the moment, and never acked or rejected."""
    if copy.settled != NEVER and len(copy.deliveries) == 1:
        return False
    first = copy.first
    return not in_settlement(first, NEVER) and released(index, first) < before


def _fan_out_miss(index: Index, tally: Tally) -> None:
    """Lost for one group (B1 or B2) while another group was handed it.
    Exercised: calls owed to a group that another group was handed, and of which it is known whether they
    reached this one."""
    for group in index.groups.values():
        others = [g for g in index.groups.values() if g is not group and g.topic == group.topic]
        if not others:
            continue
        lost = _proven_lost(index, group)
        unknown = set(missing(index, group)) - lost.keys()
        for call in owed_calls(index, group):
            known = call not in unknown
            tally.exercised += known and any(g.delivered(call.number) is not None for g in others)
        for call, proof in lost.items():
            found = [g.delivered(call.number) for g in others]
            other = next((copy for copy in found if copy is not None), None)
            if other is not None:
                tally.violate(
                    f"Call {call.number} reached group {other.group.name} but not group {group.name}.",
                    (call.i, other.first.i, proof),
                    (call.number,),
                    group,
                )


def _missed_start(index: Index, tally: Tally) -> None:
    """Lost for a group that starts at the earliest event (B1 or B2), though its publish had been confirmed
    before the group's first subscribe was invoked. Exercised: such calls owed to the group, if it was drained
    after them or was handed something of their lane."""
    for group in index.groups.values():
        if group.policy.start != "earliest":
            continue
        proof, start = drained(index, group), group.first_subscribing
        before = [call for call in owed_calls(index, group) if call.confirmed < start]
        tally.exercised += sum(call.ended < proof or _in_lane(index, group, call) for call in before)
        lost = _proven_lost(index, group) if before else {}
        for call in (call for call in before if call in lost):
            tally.violate(
                f"Call {call.number} was confirmed before group {group.name} first subscribed and never"
                " reached it, though it starts at the earliest event.",
                (call.i, call.confirmed, start, lost[call]),
                (call.number,),
                group,
            )


def _unseen(index: Index, tally: Tally) -> None:
    """Owed and never handed out, or handed out and never settled, but the group was not proven drained since:
    inconclusive, never a failure. Exercised: groups."""
    for group in index.groups.values():
        tally.exercised += 1
        proof = drained(index, group)
        unseen = [(c, c.ended) for c in missing(index, group) if c.ended >= proof]
        unseen += [(a.call, a.last.i) for a in _abandoned(index, group) if a.last.i >= proof]
        for call, moment in unseen:
            tally.violate(
                f"Call {call.number} is not settled for group {group.name}, and nothing proves that it is"
                " not still to come.",
                (call.i, moment),
                (call.number,),
                group,
            )


LOST_IN_THE_MIDDLE = rule("B1", "lost in the middle", _lost_in_the_middle)
LOST = rule("B2", "lost", _lost)
LOST_REDELIVERY = rule("B3", "lost redelivery", _lost_redelivery)
FAN_OUT_MISS = rule("B5", "fan-out miss", _fan_out_miss)
MISSED_START = rule("B6", "missed start", _missed_start)
UNSEEN = rule("B7", "unseen", _unseen)
