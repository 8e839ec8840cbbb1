"""The memory broker's behaviour: a state machine of small synchronous steps.

It is the reference semantics of the protocol. Each step that a broker can get wrong is a method of
its own, so that a broken broker is this engine with one method overridden.
"""

from __future__ import annotations

from eventproof.adapters.memory.faults import Faults
from eventproof.adapters.memory.state import Group, Session


class Engine(Faults):
    """One broker: what comes in waits in lanes; it is handed out, settled, or brought back."""

    def leave(self, session: Session) -> None:
        """Return what the session has not settled; others may have it at once."""
        if session in self.sessions:
            self.end_session(session)
        for slot in sorted(session.held, key=lambda held: held.copy.offset):
            self.take_back(slot, lost=True)
            self.retry(session.group, slot)

    def remove(self, name: str) -> None:
        """Delete a topic with its groups."""
        topic = self.topics.pop(name, None)
        for group in topic.groups.values() if topic else ():
            for slot in group.unsettled():
                self.take_back(slot, lost=True)
                self.overdue.pop(slot, None)
            group.lanes.clear()
            group.ready.clear()

    # what the broker tells of itself

    def counters(self, group: Group) -> dict[str, int]:
        """pending: not handed out. in_flight: handed out or held back by a delay. last: copies stored."""
        slots = list(group.unsettled())
        out = sum(bool(slot.token or slot.timer) for slot in slots)
        log = len(group.topic.log)
        return {"pending": len(slots) - out + log - group.cursor, "in_flight": out, "last": log}

    def positions(self, group: Group) -> dict[int, str]:
        """Per partition the last position below the first copy that is not settled."""
        unsettled = {slot.copy.offset for slot in group.unsettled()}
        floor: dict[int, str] = {}
        blocked: set[int] = set()
        for copy in group.topic.log[: group.cursor]:
            if copy.offset in unsettled:
                blocked.add(copy.partition)
            elif copy.partition not in blocked:
                floor[copy.partition] = copy.position
        return floor
