"""The memory broker's second half: from the lanes of a group to a settlement, or back."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import LeaseExpired, Rejected
from eventproof.adapters.expiry import expired
from eventproof.adapters.memory.calls import Verb
from eventproof.adapters.memory.intake import Intake
from eventproof.adapters.memory.state import Group, Session, Slot
from eventproof.schemas.deadletter import Reason, to_dead_letter
from eventproof.schemas.event import Event


class HandOuts(Intake):
    """What waits in lanes is handed out, settled, or brought back."""

    delivery = LeasedDelivery

    # hand-out

    def take(self, session: Session) -> LeasedDelivery | None:
        """The next event for a session, or None if there is none for it now."""
        group = session.group
        while group.ready and self.serves and self.has_room(session):
            slot = self.choose(group)
            if not self.dispose_of(group, slot):
                return self.hand_out(session, slot)
        return None

    def choose(self, group: Group) -> Slot:
        return group.ready.popleft().slots[0]

    def dispose_of(self, group: Group, slot: Slot) -> bool:
        """Whether the event needs no hand-out: it expired, or was settled before under the same id."""
        event = slot.copy.event
        if self.expired(event):
            self.bury(group, slot, "expired", "")
        elif slot.copy.dead or not self.consumed(group, event):
            return False
        self.finish(group, slot)
        return True

    def expired(self, event: Event) -> bool:
        return expired(event)

    def consumed(self, group: Group, event: Event) -> bool:
        settled = group.settled.get(event.identity) if self.options.dedup == "consume" else None
        return settled is not None and self.time() - settled < self.options.window

    def hand_out(self, session: Session, slot: Slot) -> LeasedDelivery:
        group = session.group
        slot.attempt += 1
        group.tokens += 1
        slot.token, slot.session = group.tokens, session
        session.held.add(slot)
        settled = self.options.delivery == "at-most-once"
        delivery = self.delivery(
            self.render(group, slot),
            Settled() if settled else HandOut(self, session, slot, slot.token),
            attempt=self.attempt(group, slot),
            ack_timeout=self.client_lease(group),
            position=slot.copy.position,
            partition=slot.copy.partition,
        )
        slot.delivery = delivery
        if settled:
            self.finish(group, slot)
        else:
            self.lease(group, slot)
        return delivery

    def render(self, group: Group, slot: Slot) -> Event:  # noqa: ARG002 - a step that brokers get wrong
        return slot.copy.event

    def attempt(self, group: Group, slot: Slot) -> int:  # noqa: ARG002 - a step that brokers get wrong
        return slot.attempt

    def client_lease(self, group: Group) -> float:
        """Seconds after which the delivery itself refuses to be settled."""
        return group.policy.ack_timeout

    def lease(self, group: Group, slot: Slot) -> None:
        """Start or renew the lease: the event comes back when it ends."""
        if slot.timer is not None:
            slot.timer.cancel()
        slot.timer = self.later(group.policy.ack_timeout, self.lease_ended, group, slot, slot.token)

    def lease_ended(self, group: Group, slot: Slot, token: int) -> None:
        if slot.token == token:
            self.take_back(slot, lost=True)
            self.retry(group, slot)

    # settlement

    def check_token(self, slot: Slot, token: int) -> None:
        """Fencing: only the present hand-out may settle."""
        if slot.token != token:
            raise LeaseExpired("the event was taken back")

    def ack(self, group: Group, slot: Slot, token: int) -> None:
        self.check_token(slot, token)
        self.finish(group, slot)

    def nack(self, group: Group, slot: Slot, token: int, delay: float | None) -> None:
        self.check_token(slot, token)
        self.take_back(slot)
        if self.exhausted(group, slot):
            self.retry(group, slot)
        else:
            self.wait(group, slot, group.policy.delay_after(slot.attempt) if delay is None else delay)

    def reject(self, group: Group, slot: Slot, token: int, reason: str) -> None:
        if group.policy.dead_letter is None:
            raise Rejected("no-dead-letter", f"the policy of group {group.name} names no dead-letter topic")
        self.check_token(slot, token)
        self.bury(group, slot, "rejected", reason)
        self.finish(group, slot)

    def extend(self, group: Group, slot: Slot, token: int) -> None:
        self.check_token(slot, token)
        self.lease(group, slot)

    def exhausted(self, group: Group, slot: Slot) -> bool:
        return group.policy.max_attempts is not None and slot.attempt >= group.policy.max_attempts

    def wait(self, group: Group, slot: Slot, delay: float) -> None:
        """Hold an event back; its lane waits with it."""
        slot.timer = self.later(delay, self.retry, group, slot)

    def retry(self, group: Group, slot: Slot) -> None:
        """The event is due again, or used up."""
        slot.timer = None
        if self.exhausted(group, slot):
            self.bury(group, slot, "attempts", "")
            self.finish(group, slot)
        else:
            self.make_ready(group, slot.lane)

    def take_back(self, slot: Slot, *, lost: bool = False) -> None:
        """End the present hand-out; lost: against the consumer's will."""
        session, slot.session, slot.token = slot.session, None, 0
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None
        if lost and slot.delivery is not None:
            slot.delivery.lose()
        if session is not None:
            session.held.discard(slot)
            if session.group.ready:
                self.wake(session.group)

    def finish(self, group: Group, slot: Slot) -> None:
        """The event is done with for this group; the lane goes on."""
        lane = slot.lane
        lane.slots.remove(slot)
        handed = slot.attempt > 0  # an event that expired unseen does not stand for its repetition
        told = handed and not slot.copy.dead
        if self.options.dedup == "consume" and told and not self.consumed(group, slot.copy.event):
            group.settled[slot.copy.event.identity] = self.time()  # which a duplicate does not renew
        self.take_back(slot)
        if lane.slots:
            self.make_ready(group, lane)
        else:
            group.lanes.pop(lane.name, None)

    def bury(self, group: Group, slot: Slot, reason: Reason, error: str) -> None:
        """Store the dead letter, where the policy names a topic for it."""
        if group.policy.dead_letter is None:
            return
        dead = self.dead_letter(group, slot, reason, error)
        self.store(self.topic(group.policy.dead_letter), dead).dead = True

    def dead_letter(self, group: Group, slot: Slot, reason: Reason, error: str) -> Event:
        return to_dead_letter(
            slot.copy.event, reason=reason, attempts=slot.attempt, topic=group.topic.name,
            group=group.name, error=error, now=self.now(),
        )  # fmt: skip


class HandOut:
    """The four acts on one hand-out; each travels to the broker and back."""

    __slots__ = ("_engine", "_session", "_slot", "_token")

    def __init__(self, engine: HandOuts, session: Session, slot: Slot, token: int) -> None:
        self._engine = engine
        self._session = session
        self._slot = slot
        self._token = token

    def ack(self) -> Coroutine[Any, Any, None]:
        return self._call("ack", self._engine.ack)

    def nack(self, delay: float | None) -> Coroutine[Any, Any, None]:
        return self._call("nack", self._engine.nack, delay)

    def reject(self, reason: str) -> Coroutine[Any, Any, None]:
        return self._call("reject", self._engine.reject, reason)

    def extend(self) -> Coroutine[Any, Any, None]:
        return self._call("extend", self._engine.extend)

    def _call(self, verb: Verb, act: Callable[..., None], *given: Any) -> Coroutine[Any, Any, None]:
        session, slot = self._session, self._slot
        step = partial(act, session.group, slot, self._token, *given)
        return self._engine.call(session.line, verb, slot.copy.event, step)


class Settled:
    """The acts on an event that was settled by its hand-out: there is nothing left to do."""

    async def ack(self) -> None:
        """Done already."""

    async def nack(self, delay: float | None) -> None:
        """Cannot come back."""

    async def reject(self, reason: str) -> None:  # noqa: ARG002 - there is nowhere to tell it
        raise Rejected("no-dead-letter", "the event was settled by its hand-out")

    async def extend(self) -> None:
        """Needs no lease."""
