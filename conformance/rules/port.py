"""P: what the port itself promises of an adapter, whatever the broker does."""

from __future__ import annotations

from collections.abc import Sequence

from eventproof.conformance.history.entities import NANOSECONDS, NEVER, Act, Delivery
from eventproof.conformance.history.index import Index
from eventproof.conformance.rules.rule import Tally, rule

OPPOSITES = {"ack": {"nack", "reject"}, "nack": {"ack", "reject"}, "reject": {"ack", "nack"}}


def _foreign_error(index: Index, tally: Tally) -> None:
    """An adapter raised something that the port does not allow there.
    Exercised: calls into the adapter (publishes, subscriptions, hand-outs, settles)."""
    acts = sum(len(d.acts) for d in index.deliveries.values())
    tally.exercised = len(index.calls) + len(index.sessions) + len(index.deliveries) + acts
    for record in index.others["adapter.error"]:
        last = record.error.strip().splitlines()[-1:] or ["no detail"]
        who = record.process or "a participant"
        tally.violate(
            f"The adapter raised an error at {who} that the port does not allow: {last[0]}", (record.i,)
        )


def _settles_twice(index: Index, tally: Tally) -> None:
    """On a delivery settled by one verb, the same verb again did not simply return, or an opposite verb was
    not refused. An act that never completed is not judged.
    Exercised: further settles of a settled delivery."""
    for delivery in index.deliveries.values():
        if len(delivery.acts) > 1:
            _judge_acts(delivery, tally)


def _judge_acts(delivery: Delivery, tally: Tally) -> None:
    settles = [act for act in delivery.acts if act.verb in OPPOSITES]
    done = _first_ok(settles)
    if done is None:
        return
    for act in settles:
        opposite = act.verb != done.verb
        if (
            act is done
            or act.outcome == "open"
            or not (act.invoke.i > done.ended or (opposite and act.outcome == "ok"))
        ):
            continue
        tally.exercised += 1
        if act.outcome != ("rejected" if opposite else "ok"):
            wanted = "refused" if opposite else "a no-op that returns"
            number = delivery.record.delivery
            tally.violate(
                f"After {done.verb} of delivery {number} ({delivery.copy.name}) returned, {act.verb} was"
                f" {act.outcome}; it must be {wanted}.",
                (delivery.i, done.ended, act.invoke.i, act.ended),
                delivery.copy.calls,
                delivery.copy.group,
            )


def _first_ok(settles: Sequence[Act]) -> Act | None:
    return min((act for act in settles if act.outcome == "ok"), key=lambda act: act.ended, default=None)


def _silent_stop(index: Index, tally: Tally) -> None:
    """A subscription's iterator ended by itself, instead of waiting or saying that the session is lost.
    Exercised: subscriptions that were entered."""
    tally.exercised = sum(1 for s in index.sessions.values() if s.outcome == "ok")
    for record in index.others["session.ended"]:
        group = index.sessions[record.session].group
        tally.violate(
            f"The subscription of session {record.session} ended without an error.", (record.i,), (), group
        )


def _hanging_call(index: Index, tally: Tally) -> None:
    """A publish, a subscribe or a settle had not ended when the history did, longer than `within` after it
    was made, with its session still open and no fault in between. A settle by a consumer that has left is
    not judged, nor anything in a history that was cut off. Exercised: such calls, ended or not."""
    if not index.others["end"]:
        return
    calls = [(call.invoke, call.outcome) for call in index.calls.values()]
    calls += [(one.invoke, one.outcome) for one in index.sessions.values() if one.ended == NEVER or one.done]
    for delivery in index.deliveries.values():
        if delivery.session.ended == NEVER:
            calls += [(act.invoke, act.outcome) for act in delivery.acts]
    tally.exercised = len(calls)
    healed, last = max((t for _, t in index.faults.heals), default=0), index.last
    for invoke, outcome in calls:
        waited = last.t - max(invoke.t, healed)
        if outcome == "open" and waited > index.header.within * NANOSECONDS:
            what, who = invoke.kind.partition(".")[0], invoke.process or f"delivery {invoke.delivery}"
            tally.violate(
                f"The {what} of {who} had not ended {waited / NANOSECONDS:.1f} s after it was made.",
                (invoke.i, last.i),
                (invoke.call,) if invoke.call else (),
            )


FOREIGN_ERROR = rule("P1", "foreign error", _foreign_error)
SETTLES_TWICE = rule("P2", "settled twice", _settles_twice)
SILENT_STOP = rule("P3", "silent stop", _silent_stop)
HANGING_CALL = rule("P4", "hanging call", _hanging_call)
