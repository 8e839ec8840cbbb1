"""Brokers that are strange and keep their claims: no rule may find anything in them."""

from __future__ import annotations

import asyncio

from eventproof.adapters.errors import Indeterminate, Rejected, Unsupported
from eventproof.adapters.memory import Engine
from eventproof.adapters.memory.state import Copy, Group, Session, Slot, Topic
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Receipt
from eventproof.conformance.events import call_of
from eventproof.conformance.mutants.mutant import Mutant, rarely
from eventproof.schemas.event import Event


class LosesConfirms(Engine):
    """does not say whether it stored an event, and has stored every other one of those"""

    def publish(self, topic: Topic, event: Event) -> Receipt:
        doubtful = rarely(event.id, call_of(event))
        if doubtful and call_of(event) % 2:
            raise Indeterminate("the request may be lost")
        receipt = super().publish(topic, event)
        if doubtful:
            raise Indeterminate("the confirm is lost")
        return receipt


class RefusesSometimes(Engine):
    """refuses a publish now and then, and stores nothing"""

    def check(self, event: Event) -> None:
        super().check(event)
        if rarely(event.id, call_of(event)):
            raise Rejected("overloaded", "try again later")


class RefusesHonestly(Engine):
    """does not filter by type and cannot start at the latest event, and says so"""

    def join(self, topic: Topic, name: str, policy: Policy) -> Session:
        if policy.types or policy.start == "latest":
            raise Unsupported("no filters, and no start but the earliest")
        return super().join(topic, name, policy)


class LendsLonger(Engine):
    """waits longer than it has to before it brings an event back"""

    def lease(self, group: Group, slot: Slot) -> None:
        super().lease(group, slot)
        if slot.timer is not None:
            slot.timer.cancel()
            late = group.policy.ack_timeout * 1.5
            slot.timer = self.later(late, self.lease_ended, group, slot, slot.token)

    def wait(self, group: Group, slot: Slot, delay: float) -> None:
        super().wait(group, slot, delay * 1.5)


class DeliversInBursts(Engine):
    """lets events pile up before it hands them out"""

    burst = 25.0

    def admit(self, group: Group) -> None:
        if group.cursor == len(group.topic.log):
            return
        loop = asyncio.get_running_loop()
        loop.call_at((loop.time() // self.burst + 1) * self.burst, super().admit, group)


class MixesKeys(Engine):
    """hands out keys in any order, and each key in its own"""

    def choose(self, group: Group) -> Slot:
        group.ready.rotate(len(group.topic.log) * 7 % len(group.ready))
        return super().choose(group)


class TellsNothing(Engine):
    """gives no positions and does not say what was a duplicate"""

    def publish(self, topic: Topic, event: Event) -> Receipt:
        super().publish(topic, event)
        return Receipt()

    def store(self, topic: Topic, event: Event) -> Copy:
        copy = super().store(topic, event)
        copy.position = ""
        return copy


class ServesTheLatest(Engine):
    """serves whoever has waited least"""

    def wake(self, group: Group) -> None:
        group.waiting = dict(reversed(list(group.waiting.items())))
        super().wake(group)


ODD = (
    Mutant(anomaly="", engine=LosesConfirms),
    Mutant(anomaly="", engine=RefusesSometimes),
    Mutant(anomaly="", engine=RefusesHonestly),
    Mutant(anomaly="", engine=LendsLonger),
    Mutant(anomaly="", engine=DeliversInBursts),
    Mutant(anomaly="", engine=MixesKeys),
    Mutant(anomaly="", engine=TellsNothing),
    Mutant(anomaly="", engine=ServesTheLatest),
)
