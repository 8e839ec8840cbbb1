"""Brokers that take it wrongly that a consumer was killed or stood still."""

from __future__ import annotations

from eventproof.adapters.memory import Engine
from eventproof.adapters.memory.state import Group, Line, Options, Slot
from eventproof.conformance.mutants.copies import AcceptsStaleAcks
from eventproof.conformance.mutants.loss import ForgetsExpiredLeases
from eventproof.conformance.mutants.mutant import Mutant, rarely
from eventproof.conformance.mutants.order import SkipsFailures

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


class LosesWhatTheFrozenHeld(ForgetsExpiredLeases):
    """does not bring an event back that a consumer held for longer than its lease"""


class ForgetsAcksOfTheKilled(Engine):
    """forgets an ack that it had confirmed to a consumer that was killed"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.acked: dict[Line, list[tuple[Group, Slot]]] = {}

    def ack(self, group: Group, slot: Slot, token: int) -> None:
        session = slot.session
        super().ack(group, slot, token)
        if session is not None:
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
        if session is not None:
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
            if slot.token:
                self.free_lane(group, slot)


# a participant that stood still


class AcceptsAcksAfterAPause(AcceptsStaleAcks):
    """lets an ack settle an event that another one has, since its consumer stood still"""


LOSS, PAUSE = "consumer-loss", "consumer-pause"
MUTANTS = (
    Mutant(anomaly="B3", fault=LOSS, engine=LosesWhatTheKilledHeld),
    Mutant(anomaly="C1", fault=LOSS, engine=ForgetsAcksOfTheKilled),
    Mutant(anomaly="E1l", fault=LOSS, engine=ForgetsAttemptsOfTheKilled),
    Mutant(anomaly="E3", fault=LOSS, engine=ForgetsDelaysOfTheKilled),
    Mutant(anomaly="D2", fault=LOSS, engine=HandsOnTooEarlyAfterLoss),
    Mutant(anomaly="B3", fault=PAUSE, engine=LosesWhatTheFrozenHeld),
    Mutant(anomaly="C8", fault=PAUSE, engine=AcceptsAcksAfterAPause),
)
