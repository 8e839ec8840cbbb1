"""Brokers that break the order they claim."""

from __future__ import annotations

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.memory import Engine
from eventproof.adapters.memory.state import Copy, Group, Session, Slot, SlotQueue
from eventproof.conformance.mutants.mutant import Mutant, rarely


class Overtakes(Engine):
    """lets an event overtake the one before it in its lane"""

    def enqueue(self, group: Group, copy: Copy) -> None:
        super().enqueue(group, copy)
        lane = group.lanes.get(self.lane(copy))
        if lane is not None and len(lane.slots) > 1 and self.may_swap(lane) and rarely(copy.event.id):
            lane.slots[-1], lane.slots[-2] = lane.slots[-2], lane.slots[-1]

    def may_swap(self, lane: SlotQueue) -> bool:
        """Whether the last but one was not handed out yet."""
        return lane.slots[-2].attempt == 0


class OvertakesInFlight(Overtakes):
    """stores two overlapping publishes of one publisher the wrong way round"""


class OvertakesAcrossKeys(Overtakes):
    """lets an event overtake one of another key, where the whole topic has one order"""


class SkipsFailures(Engine):
    """goes on with the key while an event of it waits for its next attempt"""

    def wait(self, group: Group, slot: Slot, delay: float) -> None:
        super().wait(group, slot, delay)
        if rarely(slot.copy.event.id):
            self.free_lane(group, slot)

    def free_lane(self, group: Group, slot: Slot) -> None:
        """Give the event a lane of its own, and let the rest of its lane go on."""
        lane = slot.lane
        lane.slots.remove(slot)
        slot.lane = SlotQueue((lane.name, slot.copy.offset))
        slot.lane.slots.append(slot)
        group.lanes[slot.lane.name] = slot.lane
        if lane.slots:
            self.make_ready(group, lane)
        else:
            del group.lanes[lane.name]


class SharesKeys(SkipsFailures):
    """hands the next event of a key to another member while one is worked on"""

    def wait(self, group: Group, slot: Slot, delay: float) -> None:
        Engine.wait(self, group, slot, delay)

    def hand_out(self, session: Session, slot: Slot) -> LeasedDelivery:
        delivery = super().hand_out(session, slot)
        if rarely(slot.copy.event.id):
            self.free_lane(session.group, slot)
        return delivery


MUTANTS = (
    Mutant(anomaly="D1", engine=Overtakes),
    Mutant(anomaly="D1p", engine=OvertakesInFlight),
    Mutant(anomaly="D2", engine=SkipsFailures),
    Mutant(anomaly="D3", engine=OvertakesAcrossKeys, options={"lane": "topic"}),
    Mutant(anomaly="D4", engine=SharesKeys),
)
