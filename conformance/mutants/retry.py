"""Brokers that count, delay, bury or bound wrongly."""

from __future__ import annotations

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import AlreadySettled
from eventproof.adapters.memory import Engine
from eventproof.adapters.memory.state import Group, Options, Session, Slot, SlotQueue, Topic
from eventproof.adapters.port import Receipt
from eventproof.conformance.mutants.mutant import Mutant, rarely
from eventproof.schemas.deadletter import Reason
from eventproof.schemas.event import Event


class ForgetsAttempts(Engine):
    """calls a later attempt the first"""

    def attempt(self, group: Group, slot: Slot) -> int:
        return 1 if rarely(slot.copy.event.id) else super().attempt(group, slot)


class CountsTooHigh(Engine):
    """counts an attempt that never was"""

    def attempt(self, group: Group, slot: Slot) -> int:
        return super().attempt(group, slot) + rarely(slot.copy.event.id)


class RetriesTooOften(Engine):
    """hands an event out once more than the policy allows"""

    def exhausted(self, group: Group, slot: Slot) -> bool:
        most = group.policy.max_attempts
        spared = slot.attempt == most and rarely(slot.copy.event.id)
        return super().exhausted(group, slot) and not spared


class RetriesTooEarly(Engine):
    """redelivers before the delay is over"""

    def wait(self, group: Group, slot: Slot, delay: float) -> None:
        super().wait(group, slot, delay / 2 if rarely(slot.copy.event.id) else delay)


class BuriesTooEarly(Engine):
    """dead-letters an event that has attempts left"""

    def exhausted(self, group: Group, slot: Slot) -> bool:
        early = group.policy.max_attempts is not None and rarely(slot.copy.event.id)
        return early or super().exhausted(group, slot)


class LosesDeadLetters(Engine):
    """gives an event up without a dead letter"""

    def bury(self, group: Group, slot: Slot, reason: Reason, error: str) -> None:
        if not rarely(slot.copy.event.id):
            super().bury(group, slot, reason, error)


class RetriesTheDead(Engine):
    """hands an event out again after its dead letter was stored"""

    def finish(self, group: Group, slot: Slot) -> None:
        if slot.attempt == group.policy.max_attempts and rarely(slot.copy.event.id):
            self.take_back(slot)
            slot.attempt += 1
            self.make_ready(group, slot.lane)
        else:
            super().finish(group, slot)


class BuriesTwice(Engine):
    """stores two dead letters for one group"""

    def bury(self, group: Group, slot: Slot, reason: Reason, error: str) -> None:
        super().bury(group, slot, reason, error)
        if rarely(slot.copy.event.id):
            super().bury(group, slot, reason, error)


class SpoilsDeadLetters(Engine):
    """changes an event in its dead letter"""

    def dead_letter(self, group: Group, slot: Slot, reason: Reason, error: str) -> Event:
        dead = super().dead_letter(group, slot, reason, error)
        return dead.with_extensions(partitionkey="spoilt") if rarely(slot.copy.event.id) else dead


class ForgetsReasons(Engine):
    """does not say in the dead letter why the consumer rejected the event"""

    def dead_letter(self, group: Group, slot: Slot, reason: Reason, error: str) -> Event:
        return super().dead_letter(group, slot, reason, "" if rarely(slot.copy.event.id) else error)


class BlockedByPoison(Engine):
    """holds back a whole group while one event of it fails"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.poison: dict[Group, Slot] = {}
        self.parked: dict[Group, list[SlotQueue]] = {}

    def wait(self, group: Group, slot: Slot, delay: float) -> None:
        if rarely(slot.copy.event.id) and group not in self.poison:
            self.poison[group] = slot
            self.parked[group] = list(group.ready)
            group.ready.clear()
        super().wait(group, slot, delay)

    def make_ready(self, group: Group, lane: SlotQueue) -> None:
        poison = self.poison.get(group)
        if poison is None or lane is poison.lane:
            super().make_ready(group, lane)
        else:
            self.parked[group].append(lane)

    def finish(self, group: Group, slot: Slot) -> None:
        super().finish(group, slot)
        if self.poison.get(group) is slot:
            del self.poison[group]
            for lane in self.parked.pop(group):
                self.make_ready(group, lane)


class OverfillsSessions(Engine):
    """hands out one event more than may be in flight"""

    def has_room(self, session: Session) -> bool:
        if super().has_room(session):
            return True
        over = len(session.held) == session.group.policy.max_in_flight
        return session.open and over and any(rarely(slot.copy.event.id) for slot in session.held)


class DeliversExpired(Engine):
    """hands out an event that has expired"""

    def expired(self, event: Event) -> bool:
        return not rarely(event.id) and super().expired(event)


class LeaksErrors(Engine):
    """lets an error of its own escape from a publish"""

    def publish(self, topic: Topic, event: Event) -> Receipt:
        if rarely(event.id):
            raise LookupError(event.id)
        return super().publish(topic, event)


class _Changeable(LeasedDelivery):
    """A delivery that may be nacked after it was acked."""

    async def nack(self, *, delay: float | None = None) -> None:
        try:
            await super().nack(delay=delay)
        except AlreadySettled:
            if not rarely(self.event.id):
                raise


class SettlesTwice(Engine):
    """takes a nack of a delivery that was acked"""

    delivery = _Changeable


class StopsSilently(Engine):
    """ends a subscription without a word"""

    def take(self, session: Session) -> LeasedDelivery | None:
        delivery = super().take(session)
        if delivery is not None and delivery.attempt > 1 and rarely(delivery.event.id):
            raise StopAsyncIteration
        return delivery


MUTANTS = (
    Mutant(anomaly="E1l", engine=ForgetsAttempts),
    Mutant(anomaly="E1h", engine=CountsTooHigh),
    Mutant(anomaly="E2", engine=RetriesTooOften),
    Mutant(anomaly="E3", engine=RetriesTooEarly),
    Mutant(anomaly="E4", engine=BuriesTooEarly),
    Mutant(anomaly="E5", engine=LosesDeadLetters),
    Mutant(anomaly="E6", engine=RetriesTheDead),
    Mutant(anomaly="E7", engine=SpoilsDeadLetters),
    Mutant(anomaly="E7c", engine=ForgetsReasons),
    Mutant(anomaly="E7n", engine=BuriesTwice),
    Mutant(anomaly="E8", engine=BlockedByPoison),
    Mutant(anomaly="F1", engine=OverfillsSessions),
    Mutant(anomaly="F2", engine=DeliversExpired),
    Mutant(anomaly="P1", engine=LeaksErrors),
    Mutant(anomaly="P2", engine=SettlesTwice),
    Mutant(anomaly="P3", engine=StopsSilently),
)
