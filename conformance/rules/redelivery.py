"""What C1, C2 and C3 share: of every redelivery, whether it was permitted and after which settlement.

A redelivery r follows the previous hand-out p of the copy to the group.

* If the copy was surely settled before r, r is permitted only if p had been released before that
  settlement, or a nack of an older hand-out had come after p (r was then on its way), or if a fault came
  after it that settlements need not survive.
* Otherwise r is permitted once p does not hold its copy any more, or a nack of an older hand-out that
  was not refused came after p.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

from eventproof.conformance.history.entities import Act, Copy, Delivery
from eventproof.conformance.history.faults import after, between
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.settled import Hold, hold

Verdict = Literal["permitted", "unsure", "settled", "held"]


class Redelivery(NamedTuple):
    """Hand-out `again` follows `previous`. settled, held: not permitted, because of `settlement` (the act
    that settled the copy) or because `previous` still held it."""

    verdict: Verdict
    previous: Delivery
    again: Delivery
    settlement: Act | None = None


class Settlement(NamedTuple):
    """An act that settled the copy at moment i."""

    i: int
    act: Act
    delivery: Delivery


def redeliveries(index: Index) -> Iterator[Redelivery]:
    """All redeliveries of the history, each with its verdict."""
    for copy in index.redelivered:
        settlements = settlements_of(copy)
        nacks = sorted(
            a.invoke.i for d in copy.deliveries for a in d.acts if a.verb == "nack" and not a.refused
        )
        for previous, again in pairwise(copy.deliveries):
            settlement = _standing(index, settlements, again)
            if settlement is not None:
                stale = between(nacks, previous.i, settlement.i) > 0
                verdict = "permitted" if stale else _after_settlement(index, previous, again, settlement)
                yield Redelivery(verdict, previous, again, settlement.act)
            elif between(nacks, previous.i, again.i):
                yield Redelivery("permitted", previous, again)
            else:
                yield Redelivery(_while_open(index, previous, again), previous, again)


def settlements_of(copy: Copy) -> list[Settlement]:
    """The acks and rejects of the copy that returned, oldest first."""
    found = [
        Settlement(act.ended, act, delivery)
        for delivery in copy.deliveries
        for act in delivery.acts
        if act.outcome == "ok" and act.verb in {"ack", "reject"}
    ]
    found.sort(key=lambda s: s.i)
    return found


def _standing(index: Index, settlements: list[Settlement], again: Delivery) -> Settlement | None:
    """The oldest settlement before the redelivery that no fault in between may have undone."""
    if not settlements or settlements[0].i > again.i:
        return None
    forgotten = again.copy.group.deleted if again.copy.group.deleted < again.i else 0
    forgotten = max(forgotten, index.faults.forgotten("acks", again.i))
    for settlement in settlements:
        if settlement.i > again.i:
            break
        if settlement.i > forgotten and not _lost_with_consumer(index, settlement, again):
            return settlement
    return None


def _lost_with_consumer(index: Index, settlement: Settlement, again: Delivery) -> bool:
    """Whether the consumer that settled it was lost since, and its confirmed acks may be with it."""
    if index.claims.ack == "sent" and settlement.act.verb == "ack":
        return False
    session = settlement.delivery.session
    lost = not session.orderly and settlement.i < session.ended < again.i
    return lost and not index.faults.covers_loss("acks")


def _after_settlement(index: Index, previous: Delivery, again: Delivery, settlement: Settlement) -> Verdict:
    if index.claims.ack == "sent" and settlement.act.verb == "ack" and _cut_since(index, settlement, again):
        return "unsure"
    done = settlement.act.done
    if previous.i < settlement.i and done is not None:
        kept = hold(index, previous, done)
        if kept is not Hold.KEPT:
            return "permitted" if kept is Hold.ENDED else "unsure"
    return "settled"


def _cut_since(index: Index, settlement: Settlement, again: Delivery) -> bool:
    """Whether the session, link or broker failed after the ack was sent, which may have lost it."""
    since, session = settlement.act.invoke.i, settlement.delivery.session
    failed = min(index.faults.ends(session.process, since), after([session.ended], since))
    return failed < again.i


def _while_open(index: Index, previous: Delivery, again: Delivery) -> Verdict:
    kept = hold(index, previous, again.record)
    if kept is Hold.KEPT:
        return "held"
    return "permitted" if kept is Hold.ENDED else "unsure"
