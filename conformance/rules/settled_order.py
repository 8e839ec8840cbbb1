"""D2, D4: no later event of a key is handed out before the earlier one is settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from eventproof.conformance.history.entities import Copy, Delivery, Group
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.settled import Hold, expired, hold, possibly_settled
from eventproof.conformance.rules.rule import Tally, rule


def _broken_by_retry(index: Index, tally: Tally) -> None:
    """An event was handed out while another of its key, first handed out to the group before it, was not even
    possibly settled.
    Exercised: hand-outs of a key that follow one of another event of it."""
    for group, lane in _lanes(index):
        unsettled: deque[Copy] = deque()
        previous = lane[0].copy
        for delivery in lane:
            copy = delivery.copy
            if copy is previous and not unsettled:
                continue
            if copy is not previous:
                tally.exercise(_met(index, previous, delivery.i))
            if unsettled or previous.settled > delivery.i:
                if previous.first.i > (unsettled[-1].first.i if unsettled else 0):
                    unsettled.append(previous)
                _judge_hand_out(index, tally, group, unsettled, delivery)
            previous = copy


def _judge_hand_out(
    index: Index, tally: Tally, group: Group, unsettled: deque[Copy], delivery: Delivery
) -> None:
    """`unsettled` holds, by first hand-out, what may be open; what has been settled for good is dropped."""
    while unsettled and (unsettled[0].settled < delivery.i or expired(index, unsettled[0], delivery.t)):
        unsettled.popleft()
    if unsettled:
        _judge_unsettled(index, tally, group, unsettled, delivery)


def _judge_unsettled(
    index: Index, tally: Tally, group: Group, unsettled: Iterable[Copy], delivery: Delivery
) -> None:
    """At most one violation for each hand-out: by the copy that was handed out first."""
    for copy in unsettled:
        if copy.first.i >= delivery.copy.first.i:
            return
        if possibly_settled(index, copy, delivery.record):
            continue
        attempts = [d.i for d in copy.deliveries if d.i < delivery.i]
        tally.violate(
            f"Group {group.name} was handed {delivery.copy.name} of key {copy.key!r} while {copy.name},"
            " handed out before it, was not settled.",
            (*attempts[-3:], delivery.i),
            copy.calls + delivery.copy.calls,
            group,
            _met(index, copy, delivery.i),
        )
        return


def _met(index: Index, copy: Copy, until: int) -> Sequence[str]:
    """Faults that met who held the copy last, between its first hand-out and then."""
    if not index.faults.named:
        return ()
    holder = next(d for d in reversed(copy.deliveries) if d.i < until)
    return index.faults.lie(copy.first.i, until, holder.session.process)


def _two_holders(index: Index, tally: Tally) -> None:
    """Two events of one key were held by two live sessions of a group at once: neither possibly settled nor
    nacked, both leases surely held. One event held twice is C3.
    Exercised: hand-outs of a key in another session than the one before, which is still there."""
    for group, lane in _lanes(index):
        if len(group.sessions) > 1:
            _judge_lane(index, tally, group, lane)


def _judge_lane(index: Index, tally: Tally, group: Group, lane: list[Delivery]) -> None:
    """`held` is a stack for each session: what has ended is taken off when it comes to the top."""
    held: dict[int, list[Delivery]] = {}
    previous = lane[0]
    for delivery in lane:
        last = previous.session
        tally.exercised += last is not delivery.session and last.ended > delivery.i
        previous, own = delivery, delivery.session.number
        other = next(
            (
                d
                for number, stack in held.items()
                if number != own
                for d in _kept(index, tally, stack, delivery)
            ),
            None,
        )
        if other is not None and not possibly_settled(index, delivery.copy, delivery.record):
            tally.violate(
                f"Sessions {other.session.number} and {own} of group {group.name} held {other.copy.name}"
                f" and {delivery.copy.name} of key {delivery.copy.key!r} at the same time.",
                (other.i, delivery.i),
                other.copy.calls + delivery.copy.calls,
                group,
            )
        held.setdefault(own, []).append(delivery)


def _kept(index: Index, tally: Tally, stack: list[Delivery], delivery: Delivery) -> Iterator[Delivery]:
    """What the stack's session surely holds beside the copy that is handed out, the latest first."""
    while stack and (
        stack[-1].copy.settled < delivery.i or hold(index, stack[-1], delivery.record) is Hold.ENDED
    ):
        stack.pop()
    for other in reversed(stack):
        if other.copy is delivery.copy or possibly_settled(index, other.copy, delivery.record):
            continue
        kept = hold(index, other, delivery.record)
        tally.void += kept is Hold.UNSURE
        if kept is Hold.KEPT:
            yield other


def _lanes(index: Index) -> Iterator[tuple[Group, list[Delivery]]]:
    for group in index.groups.values():
        for key, lane in group.lanes.items():
            if key and len(lane) > 1:
                yield group, lane


BROKEN_BY_RETRY = rule("D2", "broken by retry", _broken_by_retry)
TWO_HOLDERS = rule("D4", "two holders of a key", _two_holders)
