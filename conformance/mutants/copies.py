"""Brokers that hand out, store or settle more often than they may."""

from __future__ import annotations

from eventproof.adapters.memory import Engine
from eventproof.adapters.memory.state import Copy, Group, Session, Slot, Topic
from eventproof.adapters.policy import Policy
from eventproof.conformance.mutants.mutant import Mutant, rarely
from eventproof.schemas.event import Event


class ForgetsAcks(Engine):
    """brings back an event that was acked"""

    def ack(self, group: Group, slot: Slot, token: int) -> None:
        super().ack(group, slot, token)
        if slot.attempt == 1 and rarely(slot.copy.event.id):
            again = self.enqueue_again(group, slot)
            again.attempt = slot.attempt

    def enqueue_again(self, group: Group, slot: Slot) -> Slot:
        self.enqueue(group, slot.copy)
        return group.lanes[self.lane(slot.copy)].slots[-1]


class CutsLeasesShort(Engine):
    """hands an event out again while its lease still runs"""

    def lease(self, group: Group, slot: Slot) -> None:
        super().lease(group, slot)
        if slot.timer is not None and rarely(slot.copy.event.id):
            slot.timer.cancel()
            soon = group.policy.ack_timeout / 4
            slot.timer = self.later(soon, self.lease_ended, group, slot, slot.token)

    def take_back(self, slot: Slot, *, lost: bool = False) -> None:
        super().take_back(slot, lost=lost and not rarely(slot.copy.event.id))


class RebalancesSilently(Engine):
    """gives what one member works on to another one that joins"""

    def join(self, topic: Topic, name: str, policy: Policy) -> Session:
        session = super().join(topic, name, policy)
        for slot in tuple(session.group.unsettled()):
            if slot.token and rarely(slot.copy.event.id):
                self.take_back(slot)
                self.retry(session.group, slot)
        return session


class StoresTwice(Engine):
    """stores two copies for one publish call"""

    def store(self, topic: Topic, event: Event) -> Copy:
        copy = super().store(topic, event)
        if rarely(event.id):
            super().store(topic, event)
        return copy


class MissesDuplicates(Engine):
    """does not recognise a repeated publish"""

    def recognise(self, topic: Topic, event: Event) -> Copy | None:
        return None if rarely(event.id) else super().recognise(topic, event)


class RemembersTooLong(Engine):
    """takes an event for a duplicate after the window has passed"""

    def recognise(self, topic: Topic, event: Event) -> Copy | None:
        stored = topic.seen.get(event.identity)
        return stored[1] if stored and rarely(event.id) else super().recognise(topic, event)


class TakesNewForDuplicate(Engine):
    """answers that it knows an event which it has never seen"""

    def recognise(self, topic: Topic, event: Event) -> Copy | None:
        return topic.log[-1] if topic.log and rarely(event.id) else super().recognise(topic, event)


class RemembersWhatItLost(Engine):
    """loses an event and still takes its repetition for a duplicate"""

    def store(self, topic: Topic, event: Event) -> Copy:
        if not rarely(event.id):
            return super().store(topic, event)
        return Copy(event, len(topic.log), 0, f"{len(topic.log)}-lost")


class AcceptsStaleAcks(Engine):
    """lets the ack of an earlier attempt settle an event that another one has"""

    def client_lease(self, group: Group) -> float:
        return super().client_lease(group) * 100

    def take_back(self, slot: Slot, *, lost: bool = False) -> None:
        super().take_back(slot, lost=lost and not rarely(slot.copy.event.id))

    def ack(self, group: Group, slot: Slot, token: int) -> None:
        if slot.token != token and rarely(slot.copy.event.id):
            if slot in slot.lane.slots:
                self.finish(group, slot)
        else:
            super().ack(group, slot, token)


class ConsumesTwice(Engine):
    """hands out an event whose (source, id) was settled before"""

    def consumed(self, group: Group, event: Event) -> bool:
        return not rarely(event.id) and super().consumed(group, event)


class DeliversTwice(Engine):
    """hands out an event again that it promised to hand out at most once"""

    def finish(self, group: Group, slot: Slot) -> None:
        super().finish(group, slot)
        if slot.attempt == 1 and rarely(slot.copy.event.id):
            self.enqueue(group, slot.copy)
            group.lanes[self.lane(slot.copy)].slots[-1].attempt = 1


MUTANTS = (
    Mutant(anomaly="C1", engine=ForgetsAcks),
    Mutant(anomaly="C2", engine=CutsLeasesShort),
    Mutant(anomaly="C3", engine=RebalancesSilently),
    Mutant(anomaly="C4", engine=StoresTwice),
    Mutant(anomaly="C5", engine=MissesDuplicates),
    Mutant(anomaly="C6", engine=RemembersTooLong),
    Mutant(anomaly="C6", engine=TakesNewForDuplicate),
    Mutant(anomaly="C7", engine=RemembersWhatItLost),
    Mutant(anomaly="C8", engine=AcceptsStaleAcks),
    Mutant(anomaly="C9", engine=ConsumesTwice, options={"dedup": "consume"}),
    Mutant(anomaly="C10", engine=DeliversTwice, options={"delivery": "at-most-once"}),
)
