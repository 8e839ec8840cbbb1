"""E1-E3: the attempt count, its limit, and the delay before the next attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from eventproof.conformance.history.entities import NANOSECONDS, Act, Copy, Delivery
from eventproof.conformance.history.faults import after, between
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.settled import Hold, delay_asked, hold, losses_since
from eventproof.conformance.rules.rule import Tally, rule


def _too_low(index: Index, tally: Tally) -> None:
    """A copy's attempt is below the number of its hand-outs in the session; of those to the group, where
    attempts survive the loss of a consumer; in any case since the last fault that they need not survive. Void
    where the hand-out before it may still hold the copy: of two at a time either may be the earlier one.
    Exercised: redeliveries with an attempt that could be compared."""
    for copy in index.redelivered:
        last: dict[int, Delivery] = {}
        times: Counter[int] = Counter()
        for before, delivery in zip((None, *copy.deliveries), copy.deliveries, strict=False):
            scope = 0 if index.faults.covers_loss("attempts") else delivery.session.number
            if scope in last and last[scope].i <= _forgotten(index, copy, delivery):
                times[scope] = 0
            times[scope] += 1
            last[scope] = delivery
            if delivery.record.attempt and times[scope] > 1 and before is not None:
                _judge_low(index, tally, before, delivery, times[scope])


def _forgotten(index: Index, copy: Copy, delivery: Delivery) -> int:
    """The last moment before the hand-out up to which its attempts may be forgotten, or 0."""
    deleted = copy.group.deleted
    return max(index.faults.forgotten("attempts", delivery.i), deleted if deleted < delivery.i else 0)


def _judge_low(index: Index, tally: Tally, before: Delivery, delivery: Delivery, times: int) -> None:
    faults = index.faults.lie(before.i, delivery.i, before.session.process)
    tally.exercise(faults)
    copy, attempt = delivery.copy, delivery.record.attempt
    if attempt >= times:
        return
    if hold(index, before, delivery.record) is Hold.UNSURE:
        tally.void += 1
        return
    tally.violate(
        f"Group {copy.group.name} was handed {copy.name} as attempt {attempt} after it had been attempt"
        f" {before.record.attempt}; it was hand-out {times}.",
        (before.i, delivery.i),
        copy.calls,
        copy.group,
        faults,
    )


def _too_high(index: Index, tally: Tally) -> None:
    """A copy's attempt exceeds its hand-outs plus the session ends, pauses and faults since its publish,
    each of which may have cost one hand-out. Exercised: hand-outs with an attempt."""
    for group in index.groups.values():
        for copy in group.copies:
            for number, delivery in enumerate(copy.deliveries, 1):
                attempt = delivery.record.attempt
                tally.exercised += attempt > 0
                if attempt > number and attempt > number + losses_since(index, copy, delivery.i):
                    tally.violate(
                        f"Group {group.name} was handed {copy.name} as attempt {attempt}, but it was"
                        f" hand-out {number}.",
                        (*(d.i for d in copy.deliveries[: min(number, 5) - 1]), delivery.i),
                        copy.calls,
                        group,
                    )


def _overrun(index: Index, tally: Tally) -> None:
    """Handed out more often than max_attempts allows, since the last fault that attempts need not survive and
    since the group was deleted; where the count may be too low, each loss that it need not survive allows one
    more. Exercised: copies handed out max_attempts times."""
    for group in index.groups.values():
        limit = group.policy.max_attempts
        for copy in group.copies if limit is not None else ():
            handed = _of_one_count(index, copy)
            if limit is None or len(handed) < limit:
                continue
            tally.exercised += 1
            if len(handed) > limit and len(handed) > limit + _allowance(index, copy, handed):
                tally.violate(
                    f"Group {group.name} was handed {copy.name} {len(handed)} times; {limit} are allowed.",
                    tuple(d.i for d in handed[-10:]),
                    copy.calls,
                    group,
                )


def _of_one_count(index: Index, copy: Copy) -> Sequence[Delivery]:
    """The most hand-outs between which the count was not allowed to begin anew."""
    counts: list[list[Delivery]] = []
    for delivery in copy.deliveries:
        if not counts or counts[-1][-1].i <= _forgotten(index, copy, delivery):
            counts.append([])
        counts[-1].append(delivery)
    return max(counts, key=len, default=())


def _allowance(index: Index, copy: Copy, handed: Sequence[Delivery]) -> int:
    """Losses since the publish of the copy that may have set its count back by one."""
    if index.claims.attempts.never_low and index.faults.covers_loss("attempts"):
        return 0
    return losses_since(index, copy, handed[-1].i)


def _early(index: Index, tally: Tally) -> None:
    """Handed out again sooner after a confirmed nack than its delay (asked for, or the policy's) minus slack.
    A session end or a fault in between excuses, unless delays survive it; so does what had permitted another
    delivery before the nack was invoked, for then that was on its way. Void where its lease may have ended.
    Exercised: redeliveries after a nack with a delay of a hand-out that still held the copy."""
    for copy in index.redelivered:
        nacks = sorted(
            a.invoke.i for d in copy.deliveries for a in d.acts if a.verb == "nack" and not a.refused
        )
        for number, (delivery, again) in enumerate(pairwise(copy.deliveries), 1):
            act = _nack(delivery, again)
            if act is None or between(nacks, delivery.i, again.i) > _own(delivery, again):
                continue
            delay = delay_asked(delivery, act.invoke, number)
            if delay and not _excused(index, delivery, act, again):
                tally.exercise(index.faults.lie(act.ended, again.i, delivery.session.process))
                _judge_delay(index, tally, act, delivery, again, delay)


def _nack(delivery: Delivery, again: Delivery) -> Act | None:
    """The nack that brought the copy back, if it was confirmed: its first one that was not refused."""
    nacks = (a for a in delivery.acts if a.verb == "nack" and not a.refused and a.invoke.i < again.i)
    first = next(nacks, None)
    return first if first is not None and first.outcome == "ok" else None


def _own(delivery: Delivery, again: Delivery) -> int:
    """Nacks of the hand-out itself: any further one is of an older hand-out, and may have no delay."""
    return sum(1 for a in delivery.acts if a.verb == "nack" and not a.refused and a.invoke.i < again.i)


def _excused(index: Index, delivery: Delivery, act: Act, again: Delivery) -> bool:
    since, session, claims = act.invoke.i, delivery.session, index.claims
    if hold(index, delivery, act.invoke) is Hold.ENDED:
        return True
    durable = claims.backoff == "durable" or index.faults.covers_loss("delays")
    ended = min(session.ended, after(index.faults.cuts.get(session.process, []), since))
    if not durable and ended < again.i:
        return True
    broken = index.faults.breaks if not claims.survives.delays else index.faults.uncovered("delays")
    return between(broken, since, again.i) > 0 or since < delivery.copy.group.deleted < again.i


def _judge_delay(
    index: Index, tally: Tally, act: Act, delivery: Delivery, again: Delivery, delay: int
) -> None:
    waited = again.t - act.invoke.t
    if waited >= delay:
        return
    on_its_way = hold(index, delivery, act.invoke) is Hold.UNSURE
    if on_its_way or waited >= delay - index.slack_over(act.invoke.t, again.t):
        tally.void += 1
        return
    copy = delivery.copy
    tally.violate(
        f"Group {copy.group.name} nacked {copy.name} for {delay / NANOSECONDS:g} s and was handed it again"
        f" after {waited / NANOSECONDS:.3f} s.",
        (delivery.i, act.invoke.i, again.i),
        copy.calls,
        copy.group,
        index.faults.lie(act.ended, again.i, delivery.session.process),
    )


TOO_LOW = rule("E1l", "attempt too low", _too_low)
TOO_HIGH = rule("E1h", "attempt too high", _too_high)
OVERRUN = rule("E2", "retry overrun", _overrun)
EARLY = rule("E3", "early redelivery", _early)
