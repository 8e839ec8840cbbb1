"""F: how much a session is handed at once, and nothing after its expiry."""

from __future__ import annotations

from eventproof.conformance.history.entities import NANOSECONDS, NEVER, Call, Delivery, Group, Session
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.settled import Hold, hold, nacked, possibly_settled
from eventproof.conformance.rules.rule import Tally, rule


def _over_delivery(index: Index, tally: Tally) -> None:
    """A session holds more deliveries than max_in_flight: not possibly settled, not nacked, lease surely
    held. Exercised: hand-outs that filled or passed max_in_flight."""
    for session in index.sessions.values():
        if len(session.deliveries) >= session.group.policy.max_in_flight:
            _judge_session(index, tally, session)


def _judge_session(index: Index, tally: Tally, session: Session) -> None:
    """`ends` over-estimates what is held by leaving leases out; only if that is too much is it counted
    exactly."""
    limit, passed, over = session.group.policy.max_in_flight, 0, False
    ends = sorted(map(_end, session.deliveries))
    for number, delivery in enumerate(session.deliveries, 1):
        while passed < len(ends) and ends[passed] < delivery.i:
            passed += 1
        tally.exercised += number - passed >= limit
        over = over or number - passed > limit
    if over:
        _judge_closely(index, tally, session)


def _judge_closely(index: Index, tally: Tally, session: Session) -> None:
    limit, group = session.group.policy.max_in_flight, session.group
    held: list[Delivery] = []
    for delivery in session.deliveries:
        full = len(held) >= limit and not possibly_settled(index, delivery.copy, delivery.record)
        kept, unsure = _kept(index, held, delivery, limit) if full else ([], 0)
        if len(kept) == limit:
            tally.violate(
                f"Session {session.number} of group {group.name} was handed {delivery.copy.name} while it"
                f" held {limit} others; max_in_flight is {limit}.",
                (*(d.i for d in kept[:10]), delivery.i),
                delivery.copy.calls,
                group,
            )
        tally.void += len(kept) < limit <= len(kept) + unsure
        held.append(delivery)


def _kept(index: Index, held: list[Delivery], at: Delivery, enough: int) -> tuple[list[Delivery], int]:
    """The latest deliveries that are surely held, as many as it takes, and how many may be. What has ended
    for good is dropped on the way, so that each is met no more often than it counts."""
    kept: list[Delivery] = []
    unsure, number = 0, len(held)
    while number and len(kept) < enough:
        number -= 1
        delivery = held[number]
        holds = hold(index, delivery, at.record)
        if holds is Hold.ENDED or delivery.copy.settled < at.i:
            del held[number]
        elif not _in_act(delivery, at) and not possibly_settled(index, delivery.copy, at.record):
            unsure += holds is Hold.UNSURE
            kept += [delivery] if holds is Hold.KEPT else []
    return kept, unsure


def _end(delivery: Delivery) -> int:
    """When the delivery's hold ended for good, by an act or a lost lease; not before it began."""
    end = max(delivery.i, min(delivery.copy.settled, delivery.lost))
    if len(delivery.acts) == 1 and delivery.acts[0].verb == "ack":
        return end
    return min(end, nacked(delivery))


def _in_act(delivery: Delivery, at: Delivery) -> bool:
    """Whether a nack that was refused later was open at the hand-out."""
    return any(a.verb == "nack" and a.refused and a.invoke.i < at.i < a.ended for a in delivery.acts)


def _expired_delivery(index: Index, tally: Tally) -> None:
    """Handed out later than its expiry plus slack.
    Exercised: stored calls whose expiry passed within the history, and before some group that wants the event
    may have settled it."""
    for call in index.calls.values():
        expires = call.invoke.expires
        if not 0 < expires < index.last.t:
            continue
        groups = [group for group in index.groups.values() if group.topic == call.invoke.topic]
        stored = call.seen or (call.outcome == "ok" and not call.duplicate)
        tally.exercised += stored and any(_was_waiting(group, call) for group in groups)
        for group in groups:
            for copy in group.copies_of(call.number):
                for delivery in copy.deliveries:
                    _judge_expiry(index, tally, delivery, expires)


def _was_waiting(group: Group, call: Call) -> bool:
    """Whether the group wants the event, and had no ack or reject of it under way when it expired."""
    late = group.policy.start == "latest" and call.i < group.first_subscribing
    if late or group.subscribed == NEVER or not group.wants(call.invoke.type):
        return False
    acts = (act for copy in group.copies_of(call.number) for d in copy.deliveries for act in d.acts)
    settles = (act for act in acts if act.verb in {"ack", "reject"} and not act.refused)
    return all(act.invoke.t >= call.invoke.expires for act in settles)


def _judge_expiry(index: Index, tally: Tally, delivery: Delivery, expires: int) -> None:
    late, group = delivery.t - expires, delivery.copy.group
    if late <= 0:
        return
    if late <= index.slack_over(expires, delivery.t):
        tally.void += 1
        return
    tally.violate(
        f"Group {group.name} was handed {delivery.copy.name} {late / NANOSECONDS:.3f} s after it had"
        " expired.",
        (delivery.copy.call.i if delivery.copy.call is not None else delivery.i, delivery.i),
        delivery.copy.calls,
        group,
    )


OVER_DELIVERY = rule("F1", "over-delivery", _over_delivery)
EXPIRED_DELIVERY = rule("F2", "expired delivery", _expired_delivery)
