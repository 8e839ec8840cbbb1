"""Brokers that come back wrong from a kill."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.memory import Engine
from eventproof.adapters.memory.calls import Call
from eventproof.adapters.memory.state import Copy, Group, Options, Session, Slot, Topic
from eventproof.adapters.port import Receipt
from eventproof.conformance.mutants.mutant import Mutant, rarely
from eventproof.schemas.deadletter import Reason
from eventproof.schemas.event import Event

R = TypeVar("R")

# what a kill takes


class LosesMessagesOnKill(Engine):
    """loses with a kill an event that it had confirmed"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.lost: set[tuple[str, int]] = set()

    def loses(self, copy: Copy) -> bool:
        return "dlreason" not in copy.event.extensions and rarely(copy.event.id)

    def keep_messages(self, topic: Topic) -> None:
        self.lost.update((topic.name, copy.offset) for copy in topic.log if self.loses(copy))
        for group in topic.groups.values():
            for slot in [slot for slot in group.unsettled() if self.loses(slot.copy)]:
                self.drop(group, slot)

    def drop(self, group: Group, slot: Slot) -> None:
        """Take it out of its lane, wherever it stands there; the lane goes on with its new head."""
        lane, head = slot.lane, slot.lane.slots[0] is slot
        lane.slots.remove(slot)
        if slot.timer is not None:
            slot.timer.cancel()
        held_back = head and (self.overdue.pop(slot, None) is not None or slot.timer is not None)
        if not lane.slots:
            group.lanes.pop(lane.name, None)
            if lane in group.ready:
                group.ready.remove(lane)
        elif held_back:
            self.make_ready(group, lane)

    def wants(self, group: Group, copy: Copy) -> bool:
        return (group.topic.name, copy.offset) not in self.lost and super().wants(group, copy)


class LosesDeadLettersOnKill(LosesMessagesOnKill):
    """loses with a kill a dead letter that it had stored"""

    def loses(self, copy: Copy) -> bool:
        return "dlreason" in copy.event.extensions


class ForgetsAcksOnKill(Engine):
    """forgets with a kill an ack that it had confirmed"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.acked: dict[Group, list[Slot]] = {}

    def ack(self, group: Group, slot: Slot, token: int) -> None:
        super().ack(group, slot, token)
        if rarely(slot.copy.event.id):
            self.acked.setdefault(group, []).append(slot)

    def keep_acks(self, group: Group) -> None:
        for slot in self.acked.pop(group, ()):
            self.enqueue(group, slot.copy)
            group.lanes[self.lane(slot.copy)].slots[-1].attempt = slot.attempt


class ForgetsAttemptsOnKill(Engine):
    """begins again with a kill to count how often it handed an event out"""

    def keep_attempts(self, group: Group) -> None:
        for slot in group.unsettled():
            if rarely(slot.copy.event.id):
                slot.attempt = 0


class ForgetsDelaysOnKill(Engine):
    """forgets with a kill for how long it has to hold an event back"""

    def keep_delays(self, group: Group) -> None:
        for slot in group.unsettled():
            if slot.timer is not None and rarely(slot.copy.event.id):
                slot.timer.cancel()
                self.overdue[slot] = partial(self.retry, group, slot)


class ForgetsIdentitiesOnKill(Engine):
    """forgets with a kill that it has stored an event"""

    def keep_identities(self, topic: Topic) -> None:
        topic.seen = {name: seen for name, seen in topic.seen.items() if not rarely(seen[1].event.id)}


class BuriesTwiceOnKill(Engine):
    """stores with a kill a dead letter again"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.buried: list[tuple[Group, Slot, Reason, str]] = []

    def bury(self, group: Group, slot: Slot, reason: Reason, error: str) -> None:
        super().bury(group, slot, reason, error)
        if rarely(slot.copy.event.id):
            self.buried.append((group, slot, reason, error))

    def forget(self) -> None:
        super().forget()
        for group, slot, reason, error in self.buried:
            if self.topics.get(group.topic.name) is group.topic:
                super().bury(group, slot, reason, error)
        self.buried.clear()


class NeverComesBack(Engine):
    """does not serve a topic any more that it was killed with"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.gone: set[str] = set()

    def forget(self) -> None:
        super().forget()
        self.gone.update(
            t.name for t in self.topics.values() if t.log and rarely(t.log[-1].event.id, len(t.log))
        )

    def publish(self, topic: Topic, event: Event) -> Receipt:
        if topic.name in self.gone:
            raise Indeterminate("no confirm came")
        return super().publish(topic, event)

    def has_room(self, session: Session) -> bool:
        return session.group.topic.name not in self.gone and super().has_room(session)


# what was on its way


class DeniesWhatItStored(Engine):
    """refuses a publish that it had stored when it was killed"""

    def doubt(self, call: Call[Any]) -> Any:
        if call.verb == "publish" and call.done and rarely(call.name):
            raise Rejected("unavailable", "the broker is down")
        return super().doubt(call)


class ConfirmsWhatItLost(Engine):
    """confirms a publish that it had not stored when it was killed"""

    def doubt(self, call: Call[Any]) -> Any:
        if call.verb == "publish" and not (call.done or call.error) and rarely(call.name):
            return Receipt()
        return super().doubt(call)


class StoresRepeatsAfterDoubt(Engine):
    """stores an event again whose first publish it had stored and not confirmed"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.doubted: set[str] = set()

    def overtake(self, call: Call[Any]) -> None:
        super().overtake(call)
        if call.verb == "publish" and call.done:
            self.doubted.add(call.name)

    def recognise(self, topic: Topic, event: Event) -> Copy | None:
        again = event.id in self.doubted and rarely(event.id)
        return None if again else super().recognise(topic, event)


KILL, IN_FLIGHT = "broker-kill", "in-flight"
MUTANTS = (
    Mutant(anomaly="B2", fault=KILL, engine=LosesMessagesOnKill),
    Mutant(anomaly="E5", fault=KILL, engine=LosesDeadLettersOnKill),
    Mutant(anomaly="C1", fault=KILL, engine=ForgetsAcksOnKill),
    Mutant(anomaly="E1l", fault=KILL, engine=ForgetsAttemptsOnKill),
    Mutant(anomaly="E3", fault=KILL, engine=ForgetsDelaysOnKill),
    Mutant(anomaly="C5", fault=KILL, engine=ForgetsIdentitiesOnKill),
    Mutant(anomaly="E7n", fault=KILL, engine=BuriesTwiceOnKill),
    Mutant(anomaly="L2", fault=KILL, engine=NeverComesBack),
    Mutant(anomaly="A2", fault=IN_FLIGHT, engine=DeniesWhatItStored),
    Mutant(anomaly="B2", fault=IN_FLIGHT, engine=ConfirmsWhatItLost),
    Mutant(anomaly="C5", fault=IN_FLIGHT, engine=StoresRepeatsAfterDoubt),
)
