"""When a copy is settled, and when a delivery's hold on it has ended.

*Surely settled*: the broker confirmed an ack (where ack is confirmed) or a reject. *Possibly settled*: the
settlement may have taken effect; a broker frees the next event before the client reads the reply.
*Held*: nothing that permits another delivery has happened. The definitions are in spec/history.md.
"""

from __future__ import annotations

from enum import Enum

from eventproof.conformance.history.entities import NANOSECONDS, NEVER, Copy, Delivery, Group
from eventproof.conformance.history.faults import after, between
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.record import Record

EXPIRED = "lease-expired"


class Hold(Enum):
    """A delivery's hold at a moment: surely kept, surely ended, or too close to the lease's end to tell."""

    KEPT = "kept"
    UNSURE = "unsure"
    ENDED = "ended"


def hold(index: Index, delivery: Delivery, at: Record) -> Hold:
    """Whether the delivery still holds its copy just before `at`, its own settlement by ack left out."""
    if released(index, delivery) < at.i:
        return Hold.ENDED
    end = lease_end(index, delivery, at.i)
    if at.t > end:
        return Hold.ENDED
    return Hold.KEPT if at.t <= end - lease_slack(index, delivery, at.t) else Hold.UNSURE


def released(index: Index, delivery: Delivery) -> int:
    """The first event that permits another delivery: a nack that was not refused, the end of the session,
    a lost lease, a broker or link fault. The lease's end by the clock is not among them."""
    session = delivery.session
    first = min(session.ended, delivery.lost, index.faults.ends(session.process, delivery.i))
    if delivery.copy.group.deleted > delivery.i:
        first = min(first, delivery.copy.group.deleted)
    return min(first, nacked(delivery))


def nacked(delivery: Delivery) -> int:
    """The first nack.invoke that was not refused, or NEVER."""
    return min((a.invoke.i for a in delivery.acts if a.verb == "nack" and not a.refused), default=NEVER)


def lease_end(index: Index, delivery: Delivery, at: int) -> int:
    """ns until which the lease is held as known at moment `at`: from the hand-out, or from an extend that
    was invoked while it surely held and had returned by then."""
    lease = delivery.copy.group.lease
    end = delivery.t + lease
    for act in delivery.acts:
        if act.verb == "extend" and act.outcome == "ok" and act.ended < at:
            began = act.invoke.t
            end = began + lease if began <= end - lease_slack(index, delivery, began) else end
    return end


def lease_slack(index: Index, delivery: Delivery, until: int) -> int:
    """ns by which a lease may end earlier than it seems to: the slack and the stalls since one lease before
    the hand-out. Who stood still reads late what was sent, and the broker's lease began with the sending."""
    return index.slack_over(delivery.t - delivery.copy.group.lease, until)


def surely_settled(index: Index, delivery: Delivery) -> int:
    """When the first ack (where ack is confirmed) or reject of the delivery was confirmed, or NEVER."""
    verbs = {"ack", "reject"} if index.claims.ack == "confirmed" else {"reject"}
    return min((a.ended for a in delivery.acts if a.outcome == "ok" and a.verb in verbs), default=NEVER)


def in_settlement(delivery: Delivery, at: int) -> bool:
    """Whether an ack or reject of the delivery may have taken effect as far as could be known at `at`."""
    return any(
        a.verb in {"ack", "reject"} and a.invoke.i < at and (not a.refused or a.ended > at)
        for a in delivery.acts
    )


def possibly_settled(index: Index, copy: Copy, at: Record) -> bool:
    """Whether the copy may be settled for its group just before `at`."""
    earlier = [d for d in copy.deliveries if d.i < at.i]
    if copy.settled < at.i or any(in_settlement(d, at.i) for d in earlier) or expired(index, copy, at.t):
        return True
    if not earlier:
        return False
    last = earlier[-1]
    if after(index.faults.uncovered("messages"), last.i) < at.i or copy.group.deleted > last.i:
        return True
    return may_be_dead(copy, earlier) and _failed(index, last, at)


def may_be_dead(copy: Copy, hand_outs: list[Delivery]) -> bool:
    """Whether a failure of the last of these hand-outs may dead-letter the copy: it is the last allowed
    attempt by our count or the broker's, or a dead letter of the call was read."""
    limit = copy.group.policy.max_attempts
    attempts = max(len(hand_outs), hand_outs[-1].record.attempt)
    return (limit is not None and attempts >= limit) or (
        copy.call is not None and copy.call.number in copy.group.dead
    )


def _failed(index: Index, delivery: Delivery, at: Record) -> bool:
    refused_later = any(a.verb == "nack" and a.invoke.i < at.i < a.ended and a.refused for a in delivery.acts)
    return refused_later or hold(index, delivery, at) is not Hold.KEPT


def expired(index: Index, copy: Copy, t: int) -> bool:
    """Whether the event's expiry may have passed at t."""
    expires = copy.call.invoke.expires if copy.call is not None else 0
    return 0 < expires <= t + index.slack


def delay_asked(delivery: Delivery, nack: Record, hand_out: int) -> int:
    """ns that the nack puts between the hand-out (1 = first) and the next one: asked for, or the policy's."""
    if nack.delay >= 0:
        return int(nack.delay * NANOSECONDS)
    attempt = delivery.record.attempt or hand_out
    return int(delivery.copy.group.policy.delay_after(attempt) * NANOSECONDS)


def losses_since(index: Index, copy: Copy, at: int) -> int:
    """Session ends and faults of the group between the publish of the copy and moment `at`, and pauses of its
    members that were not over then and had not begun after it."""
    since = copy.call.i if copy.call is not None else 0
    return between(index.losses(copy.group), since, at) + _pauses(copy.group, since, at)


def losses_of(index: Index, group: Group) -> int:
    """All session ends, faults and pauses of the group."""
    return len(index.losses(group)) + _pauses(group, 0, NEVER)


def _pauses(group: Group, since: int, at: int) -> int:
    spans = (span for of_one in group.pauses.values() for span in of_one)
    return sum(1 for start, end in spans if start < at and end > since)
