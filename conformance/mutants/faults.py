"""Brokers that come back wrong from a fault, or take the loss of a participant wrongly."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.memory import Engine
from eventproof.adapters.memory.calls import Call
from eventproof.adapters.memory.state import Copy, Group, Line, Options, Session, Slot, Topic
from eventproof.adapters.port import Receipt
from eventproof.conformance.mutants.copies import AcceptsStaleAcks
from eventproof.conformance.mutants.mutant import Mutant, rarely
from eventproof.conformance.mutants.order import SkipsFailures
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
        return "dlreason" in copy.event.extensions and rarely(copy.event.id)


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


# a participant that is gone


def orphaned(slot: Slot, token: int) -> bool:
    """Whether that hand-out is the present one, and of a participant that is gone."""
    return slot.token == token and slot.session is not None and slot.session.line.cut


class LosesWhatTheKilledHeld(Engine):
    """does not bring an event back that a killed consumer held"""

    def lease_ended(self, group: Group, slot: Slot, token: int) -> None:
        if orphaned(slot, token) and rarely(slot.copy.event.id):
            self.take_back(slot, lost=True)
            self.finish(group, slot)
        else:
            super().lease_ended(group, slot, token)


class LosesWhatTheFrozenHeld(Engine):
    """does not bring an event back that a consumer held for longer than its lease"""

    def lease_ended(self, group: Group, slot: Slot, token: int) -> None:
        if slot.token == token and rarely(slot.copy.event.id):
            self.take_back(slot, lost=True)
            self.finish(group, slot)
        else:
            super().lease_ended(group, slot, token)


class ForgetsAcksOfTheKilled(Engine):
    """forgets an ack that it had confirmed to a consumer that was killed"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.acked: dict[Line, list[tuple[Group, Slot]]] = {}

    def ack(self, group: Group, slot: Slot, token: int) -> None:
        session = slot.session
        super().ack(group, slot, token)
        if session is not None and rarely(slot.copy.event.id):
            self.acked.setdefault(session.line, []).append((group, slot))

    def sever(self, line: Line) -> None:
        super().sever(line)
        for group, slot in self.acked.pop(line, ()):
            self.enqueue(group, slot.copy)
            group.lanes[self.lane(slot.copy)].slots[-1].attempt = slot.attempt


class ForgetsAttemptsOfTheKilled(Engine):
    """does not count that it handed an event to a consumer that was killed"""

    def lease_ended(self, group: Group, slot: Slot, token: int) -> None:
        if orphaned(slot, token) and rarely(slot.copy.event.id):
            slot.attempt = 0
        super().lease_ended(group, slot, token)


class ForgetsDelaysOfTheKilled(Engine):
    """redelivers an event at once that a consumer nacked before it was killed"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.nacked: dict[Line, list[tuple[Group, Slot]]] = {}

    def nack(self, group: Group, slot: Slot, token: int, delay: float | None) -> None:
        session = slot.session
        super().nack(group, slot, token, delay)
        if session is not None and rarely(slot.copy.event.id):
            self.nacked.setdefault(session.line, []).append((group, slot))

    def sever(self, line: Line) -> None:
        super().sever(line)
        for group, slot in self.nacked.pop(line, ()):
            if slot.timer is not None and not slot.token:
                slot.timer.cancel()
                self.due(self.retry, group, slot)


class HandsOnTooEarlyAfterLoss(SkipsFailures):
    """goes on with a key while a killed consumer's event of it is not settled"""

    def wait(self, group: Group, slot: Slot, delay: float) -> None:
        Engine.wait(self, group, slot, delay)

    def sever(self, line: Line) -> None:
        held = [(one.group, slot) for one in self.sessions if one.line is line for slot in one.held]
        super().sever(line)
        for group, slot in sorted(held, key=lambda pair: pair[1].copy.offset):
            if slot.token and rarely(slot.copy.event.id):
                self.free_lane(group, slot)


# a participant that stood still


class AcceptsAcksAfterAPause(AcceptsStaleAcks):
    """lets an ack settle an event that another one has, since its consumer stood still"""


KILL, LOSS, PAUSE, IN_FLIGHT = "broker-kill", "consumer-loss", "consumer-pause", "in-flight"
MUTANTS = (
    Mutant(anomaly="B2", fault=KILL, engine=LosesMessagesOnKill),
    Mutant(anomaly="E5", fault=KILL, engine=LosesDeadLettersOnKill),
    Mutant(anomaly="C1", fault=KILL, engine=ForgetsAcksOnKill),
    Mutant(anomaly="E1l", fault=KILL, engine=ForgetsAttemptsOnKill),
    Mutant(anomaly="E3", fault=KILL, engine=ForgetsDelaysOnKill),
    Mutant(anomaly="C5", fault=KILL, engine=ForgetsIdentitiesOnKill),
    Mutant(anomaly="L2", fault=KILL, engine=NeverComesBack),
    Mutant(anomaly="A2", fault=IN_FLIGHT, engine=DeniesWhatItStored),
    Mutant(anomaly="B2", fault=IN_FLIGHT, engine=ConfirmsWhatItLost),
    Mutant(anomaly="C5", fault=IN_FLIGHT, engine=StoresRepeatsAfterDoubt),
    Mutant(anomaly="B3", fault=LOSS, engine=LosesWhatTheKilledHeld),
    Mutant(anomaly="C1", fault=LOSS, engine=ForgetsAcksOfTheKilled),
    Mutant(anomaly="E1l", fault=LOSS, engine=ForgetsAttemptsOfTheKilled),
    Mutant(anomaly="E3", fault=LOSS, engine=ForgetsDelaysOfTheKilled),
    Mutant(anomaly="D2", fault=LOSS, engine=HandsOnTooEarlyAfterLoss),
    Mutant(anomaly="B3", fault=PAUSE, engine=LosesWhatTheFrozenHeld),
    Mutant(anomaly="C8", fault=PAUSE, engine=AcceptsAcksAfterAPause),
)
