"""Brokers that lose events."""

from __future__ import annotations

import asyncio

from eventproof.adapters.errors import Indeterminate
from eventproof.adapters.memory import Engine
from eventproof.adapters.memory.state import Copy, Group, Session, Slot, Topic
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Receipt
from eventproof.conformance.mutants.mutant import Mutant, rarely
from eventproof.schemas.event import Event


class LosesKeyedEvents(Engine):
    """never hands out an event of a key, though it hands out the next one"""

    def enqueue(self, group: Group, copy: Copy) -> None:
        if not (copy.event.key and rarely(copy.event.id)):
            super().enqueue(group, copy)


class LosesEvents(Engine):
    """never hands out an event without a key"""

    def enqueue(self, group: Group, copy: Copy) -> None:
        if copy.event.key or not rarely(copy.event.id):
            super().enqueue(group, copy)


class ForgetsNacks(Engine):
    """takes a nack for an ack"""

    def wait(self, group: Group, slot: Slot, delay: float) -> None:
        if rarely(slot.copy.event.id, slot.attempt):
            self.finish(group, slot)
        else:
            super().wait(group, slot, delay)


class ForgetsExpiredLeases(Engine):
    """does not bring an event back when its lease ends"""

    def lease_ended(self, group: Group, slot: Slot, token: int) -> None:
        if slot.token == token and rarely(slot.copy.event.id):
            self.take_back(slot, lost=True)
            self.finish(group, slot)
        else:
            super().lease_ended(group, slot, token)


class ForgetsLostConsumers(Engine):
    """does not bring an event back when its consumer leaves"""

    def leave(self, session: Session) -> None:
        for slot in tuple(session.held):
            if rarely(slot.copy.event.id):
                self.take_back(slot, lost=True)
                self.finish(session.group, slot)
        super().leave(session)


class CommitsAhead(Engine):
    """moves a group's position past an event that is being worked on"""

    def positions(self, group: Group) -> dict[int, str]:
        found = super().positions(group)
        for slot in group.unsettled():
            if slot.token and rarely(slot.copy.event.id):
                found[slot.copy.partition] = slot.copy.position
        return found


class MissesOneGroup(Engine):
    """keeps an event from one of two groups"""

    def enqueue(self, group: Group, copy: Copy) -> None:
        if group.name != "g1" or not rarely(copy.event.id):
            super().enqueue(group, copy)


class StartsTooLate(Engine):
    """starts a group behind an event that the topic held before it"""

    def start(self, topic: Topic, policy: Policy) -> int:
        start = super().start(topic, policy)
        return start + any(
            rarely(copy.event.id) and "dlreason" not in copy.event.extensions
            for copy in topic.log[start : start + 1]
        )


class StopsHandingOut(Engine):
    """hands out nothing more to a group after a certain event of it"""

    def has_room(self, session: Session) -> bool:
        stuck = any(
            rarely(copy.event.id, "stops") for copy in session.group.topic.log[: session.group.cursor]
        )
        return not stuck and super().has_room(session)


class StopsConfirming(Engine):
    """takes nothing more on a topic after a certain event"""

    def publish(self, topic: Topic, event: Event) -> Receipt:
        if any(rarely(copy.event.id, "jams") for copy in topic.log):
            raise Indeterminate("no confirm came")
        return super().publish(topic, event)


class NeverAnswers(Engine):
    """lets a publish or a settle wait for ever"""

    async def travel(self, event: Event) -> None:
        await super().travel(event)
        if rarely(event.id):
            await asyncio.Event().wait()


MUTANTS = (
    Mutant(anomaly="B1", engine=LosesKeyedEvents),
    Mutant(anomaly="B2", engine=LosesEvents),
    Mutant(anomaly="B3", engine=ForgetsNacks),
    Mutant(anomaly="B3", engine=ForgetsExpiredLeases),
    Mutant(anomaly="B3", engine=ForgetsLostConsumers),
    Mutant(anomaly="B4", engine=CommitsAhead),
    Mutant(anomaly="B5", engine=MissesOneGroup),
    Mutant(anomaly="B6", engine=StartsTooLate),
    Mutant(anomaly="L1", engine=StopsHandingOut),
    Mutant(anomaly="L2", engine=StopsConfirming),
    Mutant(anomaly="P4", engine=NeverAnswers),
)
