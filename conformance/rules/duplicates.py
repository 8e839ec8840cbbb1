"""C5-C7, C9: a repeated event is recognised, neither more nor less."""

from __future__ import annotations

from collections.abc import Iterator

from eventproof.conformance.history.entities import NANOSECONDS, NEVER, Call, Copy, Group
from eventproof.conformance.history.faults import between
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.owed import drained, stored
from eventproof.conformance.history.record import Record
from eventproof.conformance.history.settled import surely_settled
from eventproof.conformance.rules.rule import Tally, rule


def _dedup_miss(index: Index, tally: Tally) -> None:
    """A copy of a call was stored, a later call of the event was stored too, and the window was surely open:
    less than W minus slack between the two, however they lay. A call is stored between its invoke and its
    confirm; one without a confirm between its invoke and the first sight of its copy.
    Answered duplicates do not refresh the window. A broker fault that dedup need not survive excuses.
    Exercised: repeats of an event, confirmed or seen, surely inside the window of a stored copy."""
    for calls in index.events.values():
        window = _window(index, calls[0].invoke.topic)
        for lane in _lanes(index, calls, "key") if window else ():
            _judge_misses(index, tally, lane, window or 0)


def _judge_misses(index: Index, tally: Tally, calls: list[Call], window: int) -> None:
    last: Call | None = None
    for call in calls:
        kept = stored(call, calls)
        if call.outcome != "ok" and not kept:
            continue
        end = call.ended if call.outcome == "ok" else NEVER
        if last is not None and not between(index.faults.uncovered("dedup"), last.i, end):
            _judge_repeat(index, tally, last, call, window, kept=kept)
        last = call if kept else last


def _judge_repeat(index: Index, tally: Tally, last: Call, call: Call, window: int, *, kept: bool) -> None:
    since, gap = last.invoke.t, max(_by(call) - last.invoke.t, _by(last) - call.invoke.t)
    sure = gap < window - index.slack_over(since, since + gap)
    faults = (*index.faults.lie(last.i, call.ended), *index.faults.during(last))
    if sure:
        tally.exercise(faults)
    elif gap < window:
        tally.void += 1
    if sure and kept:
        tally.violate(
            f"Call {call.number} repeats the event of call {last.number} within the deduplication"
            f" window of {window / NANOSECONDS:g} s and was stored again.",
            (last.i, last.ended, call.i, call.ended),
            (last.number, call.number),
            faults=faults,
        )


def _by(call: Call) -> int:
    """ns by which the call was stored, if it was."""
    return call.done.t if call.outcome == "ok" and call.done is not None else call.sighted


def _false_dedup(index: Index, tally: Tally) -> None:
    """Answered duplicate, though no other call of the event can have been recognised: none invoked before the
    answer is open or indeterminate, and each earlier confirmed one lies further back than W plus slack and
    what the broker was away meanwhile, or there is none. The event is lost.
    Exercised: calls answered duplicate."""
    for call in index.calls.values():
        done = call.done
        if done is None or not call.duplicate:
            continue
        tally.exercised += 1
        others = [c for c in _siblings(index, call, "topic") if c.i < done.i and not c.refused]
        if any(c.outcome != "ok" for c in others):
            continue
        window = _window(index, call.invoke.topic)
        if window is None and others:
            continue
        gaps = (call.invoke.t - c.done.t - _away(index, c.done, done) for c in others if c.done is not None)
        gap = min(gaps, default=None)
        if gap is not None and window is not None and gap <= window + index.slack:
            tally.void += gap > window
            continue
        tally.violate(
            f"Call {call.number} was answered as a duplicate, but no call of its event could have been"
            " recognised then: its event is lost.",
            (*(c.i for c in others), call.i, done.i),
            (*(c.number for c in others), call.number),
        )


def _away(index: Index, since: Record, until: Record) -> int:
    """ns in which the broker could not forget an identity, since it was away."""
    return index.faults.away(since.t, until.t)


def _dedup_ghost(index: Index, tally: Tally) -> None:
    """Answered duplicate, but the original is nowhere: not in a read of the log after the answer, or, without
    a log, not handed out to a group that was owed it and has drained. The event is lost. Nothing is judged
    where the original may have expired by then: it is gone by right, and its repetition was a duplicate.
    Exercised: calls answered duplicate whose original could be looked for."""
    for call in index.calls.values():
        done = call.done
        if done is None or not call.duplicate or index.faults.uncovered("messages"):
            continue
        siblings = [call, *_siblings(index, call, "topic")]
        originals = _originals(call, done, siblings)
        witness = _looked_for(index, done, siblings, originals)
        if witness is None or any(0 < c.invoke.expires <= witness.t + index.slack for c in originals):
            continue
        tally.exercised += 1
        if not any(c.seen for c in siblings):
            tally.violate(
                f"Call {call.number} was answered as a duplicate, but no copy of its event was ever seen:"
                " it is lost.",
                (*sorted(c.i for c in siblings), done.i, witness.i),
                tuple(sorted(c.number for c in siblings)),
            )


def _originals(call: Call, done: Record, siblings: list[Call]) -> list[Call]:
    """The calls whose copy the answer can mean; the call itself if there is none."""
    stored = [c for c in siblings if c is not call and c.i < done.i and not c.refused and not c.duplicate]
    return stored or [call]


def _looked_for(index: Index, done: Record, siblings: list[Call], originals: list[Call]) -> Record | None:
    """The record after the answer that would show a stored original: a log read or a proven drain."""
    topic = originals[0].invoke.topic
    log = index.logs.get(topic)
    if log is not None:
        return log if log.i > done.i else None
    first = min(c.i for c in siblings)
    for group in index.groups.values():
        started = group.subscribed < first or (group.policy.start == "earliest" and group.subscribed < done.i)
        wanted = all(group.wants(c.invoke.type) for c in originals)
        proof = drained(index, group)
        if group.topic == topic and group.deleted == 0 and wanted and started and proof > done.i:
            return next(r for r in group.drained if r.i == proof)
    return None


def _consume_miss(index: Index, tally: Tally) -> None:
    """Handed out to a group after another call of the event was surely settled there, surely inside the
    window: all of it, from the first publish to this hand-out, took less than W minus slack.
    Exercised: confirmed calls that were stored beside an earlier one of the event, within the window, which
    the group has settled."""
    window = index.claims.consume_dedup.window
    if window is None:
        return
    for calls in index.events.values():
        for lane in _lanes(index, calls, "key", consume=True):
            for group in index.groups.values():
                if group.topic == calls[0].invoke.topic:
                    _judge_consumed(index, tally, lane, group, int(window * NANOSECONDS))


def _judge_consumed(index: Index, tally: Tally, calls: list[Call], group: Group, window: int) -> None:
    for first in calls:
        moment = _settled(index, group.delivered(first.number))
        for call in calls if moment != NEVER else ():
            if call is first or call.outcome != "ok":
                continue
            tally.exercised += 0 <= call.invoke.t - first.invoke.t < window and stored(call, calls)
            copy = group.delivered(call.number)
            if copy is not None:
                _judge_hand_out(index, tally, copy, first, moment, window)


def _settled(index: Index, copy: Copy | None) -> int:
    return (
        min((surely_settled(index, d) for d in copy.deliveries), default=NEVER) if copy is not None else NEVER
    )


def _judge_hand_out(index: Index, tally: Tally, copy: Copy, first: Call, settled: int, window: int) -> None:
    handed, call = copy.first, copy.call
    if handed.i < settled or call is None:
        return
    since = min(first.invoke.t, call.invoke.t)
    took = handed.t - since
    if took < window - index.slack_over(since, handed.t):
        tally.violate(
            f"Group {copy.group.name} was handed call {call.number} after it had settled the same event as"
            f" call {first.number}, within the window of {window / NANOSECONDS:g} s.",
            (settled, handed.i),
            (first.number, call.number),
            copy.group,
        )
    elif took < window:
        tally.void += 1


def _window(index: Index, topic: str) -> int | None:
    """ns of the topic's publish deduplication, or None if unknown."""
    configured = next(
        (t.window for t in index.header.topics if t.name == topic and t.window is not None), None
    )
    window = index.claims.publish_dedup.window if configured is None else configured
    return None if window is None else int(window * NANOSECONDS)


def _lanes(index: Index, calls: list[Call], weakest: str, *, consume: bool = False) -> Iterator[list[Call]]:
    """The calls of an event that are told apart within the claimed scope, or the weakest one."""
    claim = index.claims.consume_dedup if consume else index.claims.publish_dedup
    scope = weakest if claim.scope == "none" else claim.scope
    lanes: dict[str, list[Call]] = {}
    for call in calls:
        lanes.setdefault(call.invoke.key if scope == "key" else "", []).append(call)
    yield from (lane for lane in lanes.values() if len(lane) > 1)


def _siblings(index: Index, call: Call, weakest: str) -> list[Call]:
    """The other calls of the call's event in scope."""
    if not call.repeated:
        return []
    lanes = _lanes(index, index.events[call.invoke.topic, call.invoke.event], weakest)
    return [c for lane in lanes if call in lane for c in lane if c is not call]


DEDUP_MISS = rule("C5", "dedup miss", _dedup_miss)
FALSE_DEDUP = rule("C6", "false dedup", _false_dedup)
DEDUP_GHOST = rule("C7", "dedup ghost", _dedup_ghost)
CONSUME_MISS = rule("C9", "consume-dedup miss", _consume_miss)
