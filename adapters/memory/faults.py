"""What befalls the memory broker: it is killed, stopped or frozen, and participants are gone without a word.

The broker is its engine, and what that stores outlives a kill as files would. A kill takes the sessions, with
what they hold, and the answers to the calls on their way.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from eventproof.adapters.memory.handouts import HandOuts
from eventproof.adapters.memory.state import Group, Line, Session, Topic


class Faults(HandOuts):
    """A broker that ends, and comes back with what it stored."""

    def kill(self) -> None:
        """Be gone at once. Who waits for an answer gets none, whether or not the call took its step."""
        if not self.alive:
            return
        self.alive = self.serves = False
        self.take_unread()
        slots = [slot for group in self.groups() for slot in group.unsettled() if slot.token]
        for call in tuple(self.calls):
            self.overtake(call)
        self.end_sessions()
        for slot in slots:
            if slot.delivery is not None:
                slot.delivery.lose()  # which a settlement in doubt has not done
        self.forget()

    def stop(self) -> None:
        """End in an orderly way: the calls on their way are answered first."""
        if not self.alive:
            return
        self.thaw()
        for call in tuple(self.calls):
            self.answer(call)
        self.alive = self.serves = False
        self.end_sessions()

    def revive(self) -> None:
        """Be up again after a kill or a stop."""
        self.alive = True
        self.go_on()

    def freeze(self) -> None:
        """Answer nothing until the thaw; leases and delays run on."""
        self.serves = False

    def thaw(self) -> None:
        if self.alive:
            self.go_on()

    def sever(self, line: Line) -> None:
        """Lose a participant without a word: what it holds stays leased to it until the leases end."""
        line.cut = True
        for call in [call for call in self.calls if call.line is line]:
            self.overtake(call)
        for session in [session for session in self.sessions if session.line is line]:
            session.open = False
            del self.sessions[session]
            waiting = session.group.waiting
            for waiter in [waiter for waiter, of in waiting.items() if of is session]:
                del waiting[waiter]

    def go_on(self) -> None:
        self.serve()
        for group in self.groups():
            for _ in group.ready:
                self.wake(group)

    def groups(self) -> Iterator[Group]:
        for topic in self.topics.values():
            yield from topic.groups.values()

    def end_sessions(self) -> None:
        """Every session is lost; what they hold is due again as soon as the broker serves."""
        for session in tuple(self.sessions):
            self.end_session(session)
        for group in self.groups():
            out = (slot for slot in group.unsettled() if slot.token)
            for slot in sorted(out, key=lambda held: held.copy.offset):
                self.take_back(slot, lost=True)
                self.overdue[slot] = partial(self.retry, group, slot)

    def end_session(self, session: Session) -> None:
        session.open = False
        del self.sessions[session]
        self.dismiss(session)

    # what a kill leaves of each kind of state: all of it

    def forget(self) -> None:
        for topic in tuple(self.topics.values()):
            self.keep_messages(topic)
            self.keep_identities(topic)
        for group in tuple(self.groups()):
            self.keep_acks(group)
            self.keep_attempts(group)
            self.keep_delays(group)

    def keep_messages(self, topic: Topic) -> None:
        """What becomes of the copies of a topic, and of each group's claim on them."""

    def keep_acks(self, group: Group) -> None:
        """What becomes of a group's settlements."""

    def keep_attempts(self, group: Group) -> None:
        """What becomes of the numbers of hand-outs."""

    def keep_delays(self, group: Group) -> None:
        """What becomes of the delays that are not over."""

    def keep_identities(self, topic: Topic) -> None:
        """What becomes of the identities of the window."""
