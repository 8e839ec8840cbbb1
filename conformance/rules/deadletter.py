"""E4-E6: an event that cannot be handled ends in the dead-letter topic: in time, and only there.

A dead letter is known from reading its topic, so the moment of its record is later than its publish.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from eventproof.conformance.history.entities import NEVER, Call, Copy, Delivery, Group
from eventproof.conformance.history.faults import after
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.owed import dead_drained, drained
from eventproof.conformance.history.record import Record
from eventproof.conformance.history.settled import Hold, expired, hold, losses_of, losses_since
from eventproof.conformance.rules.rule import Tally, rule


def _premature(index: Index, tally: Tally) -> None:
    """Dead-lettered for its attempts, though its failed hand-outs and the losses since its publish, each of
    which may have cost one more, are fewer than max_attempts. Exercised: dead letters for attempts."""
    for group in index.groups.values():
        limit = group.policy.max_attempts
        for number, records in group.dead.items():
            record = records[0]
            if record.reason != "attempts":
                continue
            tally.exercised += 1
            failed = _failed(index, group, number, record)
            copies = group.copies_of(number)
            lost = losses_since(index, copies[0], record.i) if copies else losses_of(index, group)
            if limit is not None and len(failed) + lost >= limit:
                continue
            allowed = f"{limit} are allowed" if limit is not None else "attempts are not limited"
            tally.violate(
                f"Call {number} was dead-lettered for group {group.name} after {len(failed)} failed"
                f" attempts; {allowed}.",
                (*(d.i for d in failed[-10:]), record.i),
                (number,) if number else (),
                group,
            )


def _failed(index: Index, group: Group, call: int, at: Record) -> list[Delivery]:
    deliveries = (d for copy in group.copies_of(call) for d in copy.deliveries if d.i < at.i)
    return [d for d in deliveries if not _acked(d) and hold(index, d, at) is not Hold.KEPT]


def _acked(delivery: Delivery) -> bool:
    return any(a.verb == "ack" and a.outcome == "ok" for a in delivery.acts)


def _missing(index: Index, tally: Tally) -> None:
    """Rejected with confirmation, or failed for the last allowed time with the group drained since, but not
    in the drained dead-letter topic. The event is lost.
    Exercised: copies rejected or exhausted before the dead-letter topic was drained."""
    undone = index.faults.uncovered("messages")
    for group in index.groups.values():
        topic = group.policy.dead_letter
        proof = dead_drained(index, topic) if topic is not None else 0
        for copy in group.copies if proof else ():
            moment = _due(index, copy, proof)
            if moment == NEVER or copy.call is None or after(undone, copy.call.i) != NEVER:
                continue
            faults = _met(index, copy, proof)
            tally.exercise(faults)
            if copy.call.number not in group.dead and not _kept_back(index, copy.call, group):
                tally.violate(
                    f"Call {copy.call.number} failed for good in group {group.name} but is not in its"
                    f" drained dead-letter topic {topic}.",
                    (*(d.i for d in copy.deliveries[-5:]), moment, proof),
                    copy.calls,
                    group,
                    faults,
                )


def _met(index: Index, copy: Copy, until: int) -> Sequence[str]:
    """Faults since the first hand-out of the copy: of the broker, or of who held it."""
    if not index.faults.named:
        return ()
    processes = dict.fromkeys(d.session.process for d in copy.deliveries)
    found = (index.faults.lie(copy.first.i, until, process) for process in processes)
    return tuple(dict.fromkeys(chain.from_iterable(found)))


def _kept_back(index: Index, call: Call, group: Group) -> bool:
    """Whether the claimed deduplication at the consumer kept the dead letter from its reader, who got that of
    another call of the event."""
    if index.claims.consume_dedup.scope == "none" or not call.repeated:
        return False
    calls = index.events.get((call.invoke.topic, call.invoke.event), ())
    return any(other.number in group.dead for other in calls)


def _due(index: Index, copy: Copy, proof: int) -> int:
    """When the copy surely failed for good, if before the proof of drain, or NEVER."""
    rejects = (a.ended for d in copy.deliveries for a in d.acts if a.verb == "reject" and a.outcome == "ok")
    rejected = min(rejects, default=NEVER)
    if rejected < proof:
        return rejected
    limit, last = copy.group.policy.max_attempts, copy.deliveries[-1]
    if limit is None or copy.settled != NEVER or max(len(copy.deliveries), last.record.attempt) < limit:
        return NEVER
    idle = drained(index, copy.group)
    at = next((r for r in copy.group.drained if r.i == idle), None)
    if at is None or not last.i < idle < proof or expired(index, copy, at.t) or copy.group.deleted > last.i:
        return NEVER
    return last.i if hold(index, last, at) is Hold.ENDED else NEVER


def _alive(index: Index, tally: Tally) -> None:
    """Dead-lettered for a group, and acked by it or handed out to it afterwards. An ack counts unless it is
    too close to the end of its lease to tell whether that attempt had failed by then, or a fault that acks
    need not survive came between it and the dead letter. Excused once when a
    crash, a cut or an unknown outcome lies between its first hand-out and then, unless one copy across a
    crash is claimed. A group that was deleted begins anew. Exercised: dead letters of copies that were handed
    out."""
    for group in index.groups.values():
        for number, records in group.dead.items():
            copies = group.copies_of(number)
            if copies:
                tally.exercise(_met(index, copies[0], records[0].i))
            if len(copies) != 1 or _of_another_copy(index, records[0]):
                continue  # with several copies, one may be dead and another alive
            conflicts = _conflicts(index, copies[0], records[0])
            if conflicts and not excused(index, copies[0], conflicts[0][0], len(conflicts)):
                moment, what = conflicts[0]
                tally.violate(
                    f"Call {number} was dead-lettered for group {group.name} and {what} all the same.",
                    (copies[0].first.i, moment, records[0].i),
                    (number,),
                    group,
                    _met(index, copies[0], moment),
                )


def _of_another_copy(index: Index, dead: Record) -> bool:
    """Whether the dead letter may be of a copy never handed out, where one call may store several."""
    return dead.attempt == 0 and not index.claims.idempotent_publish


def _conflicts(index: Index, copy: Copy, dead: Record) -> list[tuple[int, str]]:
    deleted = copy.group.deleted
    handed = [d for d in copy.deliveries if (d.i > deleted) is (dead.i > deleted)]
    again = [(d.i, "handed out to it again") for d in handed if d.i > dead.i]
    if again or index.claims.ack == "sent":
        return again
    return [
        (act.ended, "acked by it")
        for delivery in handed
        for act in delivery.acts
        if act.verb == "ack" and act.outcome == "ok" and act.done is not None
        if not act.ended < index.faults.forgotten("acks", dead.i)
        if hold(index, delivery, act.done) is not Hold.UNSURE
    ][:1]


def excused(index: Index, copy: Copy, until: int, times: int) -> bool:
    """Whether the settlement of the copy was torn, and the claims let that show so many times."""
    grade = index.claims.dead_letter
    if grade == "one-across-crash" or (grade == "one-without-faults" and times > 1):
        return False
    return any(_torn(index, delivery, until) for delivery in copy.deliveries if delivery.i < until)


def _torn(index: Index, delivery: Delivery, until: int) -> bool:
    session = delivery.session
    crashed = not session.orderly and delivery.i < session.ended < until
    cut = index.faults.ends(session.process, delivery.i) < until
    return (
        crashed
        or cut
        or any(a.outcome in {"open", "indeterminate"} and a.verb != "extend" for a in delivery.acts)
    )


PREMATURE = rule("E4", "premature dead letter", _premature)
MISSING = rule("E5", "missing dead letter", _missing)
ALIVE = rule("E6", "dead and alive", _alive)
