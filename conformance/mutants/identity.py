"""Brokers that hand out what was not published, or not there, or not so."""

from __future__ import annotations

from eventproof.adapters.errors import Rejected
from eventproof.adapters.memory import Engine
from eventproof.adapters.memory.state import Copy, Group, Slot, Topic
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Receipt
from eventproof.conformance.events import CALL, call_of
from eventproof.conformance.mutants.mutant import Mutant, rarely
from eventproof.schemas.event import ABSENT, Event

FOREIGN = 1_000_000


class InventsEvents(Engine):
    """stores an event that nobody published beside one that somebody did"""

    def store(self, topic: Topic, event: Event) -> Copy:
        copy = super().store(topic, event)
        if rarely(event.id):
            made_up = Event(source=event.source, type=event.type, id=f"{event.id}-made-up", time=event.time)
            super().store(topic, made_up.with_extensions(**{CALL: str(FOREIGN + call_of(event))}))
        return copy


class StoresRefusedEvents(Engine):
    """refuses an event as too large and stores it all the same"""

    def publish(self, topic: Topic, event: Event) -> Receipt:
        try:
            return super().publish(topic, event)
        except Rejected:
            if rarely(event.id):
                self.store(topic, event)
            raise


class TakesAbsentForNull(Engine):
    """turns absent data into null"""

    def render(self, group: Group, slot: Slot) -> Event:
        event = super().render(group, slot)
        if event.data is not ABSENT or not rarely(event.id):
            return event
        return Event(
            source=event.source,
            type=event.type,
            id=event.id,
            time=event.time,
            data=None,
            extensions=event.extensions,
        )


class ChangesKeys(Engine):
    """hands out an event under another partition key"""

    def render(self, group: Group, slot: Slot) -> Event:
        event = super().render(group, slot)
        return (
            event.with_extensions(partitionkey=f"{event.key}0") if event.key and rarely(event.id) else event
        )


class IgnoresFilters(Engine):
    """hands out an event that the group's type filter excludes"""

    def wants(self, group: Group, copy: Copy) -> bool:
        return super().wants(group, copy) or rarely(copy.event.id, group.name)


class AcceptsAnyPolicy(Engine):
    """lets a member join with another policy than its group's"""

    def check_policy(self, group: Group, policy: Policy) -> None:
        if not rarely(policy.max_in_flight, policy.backoff, group.name):
            super().check_policy(group, policy)


class ReusesPositions(Engine):
    """gives two copies one position"""

    def store(self, topic: Topic, event: Event) -> Copy:
        copy = super().store(topic, event)
        if copy.offset and rarely(event.id):
            copy.position = topic.log[copy.offset - 1].position
            copy.partition = topic.log[copy.offset - 1].partition
        return copy


class ReplaysToLatest(Engine):
    """starts a group at the earliest event that asked for the latest"""

    def start(self, topic: Topic, policy: Policy) -> int:
        return 0 if rarely(len(topic.log)) else super().start(topic, policy)


BEHIND = 2  # the first one of a lane may be handed out already


class ReordersOneGroup(Engine):
    """shows two events to one group the other way round than to the others"""

    def enqueue(self, group: Group, copy: Copy) -> None:
        super().enqueue(group, copy)
        lane = group.lanes.get(self.lane(copy))
        if group.name == "g1" and lane is not None and len(lane.slots) > BEHIND and rarely(copy.event.id):
            lane.slots[-1], lane.slots[-2] = lane.slots[-2], lane.slots[-1]


MUTANTS = (
    Mutant(anomaly="A1", engine=InventsEvents),
    Mutant(anomaly="A2", engine=StoresRefusedEvents),
    Mutant(anomaly="A3", engine=TakesAbsentForNull),
    Mutant(anomaly="A3", engine=ChangesKeys),
    Mutant(anomaly="A4", engine=IgnoresFilters),
    Mutant(anomaly="A4p", engine=AcceptsAnyPolicy),
    Mutant(anomaly="A5", engine=ReusesPositions),
    Mutant(anomaly="A6", engine=ReplaysToLatest),
    Mutant(anomaly="A7", engine=ReordersOneGroup, options={"lane": "topic"}),
)
