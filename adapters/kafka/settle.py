"""Settling one hand-out: the ledger notes it, a commit tells it, and then the verb returns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import LeaseExpired, Rejected
from eventproof.adapters.kafka.commits import Account
from eventproof.adapters.kafka.group import Group
from eventproof.adapters.kafka.slot import Slot, State
from eventproof.schemas.deadletter import Reason


class Watcher(Protocol):
    """Who keeps the hand-outs: the session."""

    def told(self, account: Account) -> Awaitable[None]:
        """Wait until the broker is told of all changes. Raises LeaseExpired, Indeterminate."""
        ...

    async def bury(self, hand_out: HandOut, reason: Reason, error: str) -> None:
        """Dead-letter the event. Raises as a publish does, and LeaseExpired."""
        ...

    def settling(self, hand_out: HandOut) -> None:
        """A settlement begins: there is room for another hand-out."""
        ...

    def lost(self, hand_out: HandOut) -> None:
        """The lease is over."""
        ...


class KafkaDelivery(LeasedDelivery):
    """Tells its session when the lease is lost."""

    __slots__ = ("hand_out",)
    hand_out: HandOut

    def lose(self) -> None:
        super().lose()
        self.hand_out.lost()


class HandOut:
    """`eventproof.adapters.delivery.Settlement` of one event. until: when the lease ends."""

    __slots__ = (
        "_group",
        "_loop",
        "_returned",
        "_watcher",
        "account",
        "attempt",
        "delivery",
        "slot",
        "until",
    )

    def __init__(self, account: Account, slot: Slot, group: Group, watcher: Watcher) -> None:
        self._loop = asyncio.get_running_loop()
        self._group = group
        self._watcher = watcher
        self._returned = False
        self.account = account
        self.slot = slot
        self.attempt = slot.attempt
        self.until = self._loop.time() + group.policy.ack_timeout
        self.delivery = KafkaDelivery(
            slot.value,
            self,
            attempt=slot.attempt,
            ack_timeout=group.policy.ack_timeout,
            position=str(slot.offset),
            partition=account.partition,
        )
        self.delivery.hand_out = self

    @property
    def held(self) -> bool:
        """Whether nothing came of this hand-out yet."""
        return self.slot.state is State.OUT and self.slot.attempt == self.attempt

    def ack(self) -> Awaitable[None]:
        if self.held:
            self.account.ledger.settle(self.slot, self._loop.time())
            self._watcher.settling(self)
        elif self.slot.state is not State.SETTLED:
            raise LeaseExpired("the event was taken back")
        return self._watcher.told(self.account)

    def nack(self, delay: float | None) -> Awaitable[None]:
        policy = self._group.policy
        if policy.max_attempts is not None and self.attempt >= policy.max_attempts:
            return self._watcher.bury(self, "attempts", "")
        if self.held:
            now = self._loop.time()
            wait = policy.delay_after(self.attempt) if delay is None else delay
            self.account.ledger.retry(self.slot, now + wait, now)
            self._returned = True
            self._watcher.settling(self)
        elif not self._returned:
            raise LeaseExpired("the event was taken back")
        return self._watcher.told(self.account)

    async def reject(self, reason: str) -> None:
        if self._group.dead is None:
            raise Rejected(
                "no-dead-letter", f"the policy of group {self._group.name} names no dead-letter topic"
            )
        await self._watcher.bury(self, "rejected", reason)

    async def extend(self) -> None:
        if not self.held:
            raise LeaseExpired("the event was taken back")
        start = self._loop.time()
        self.account.ledger.extend(self.slot, start)
        await self._watcher.told(self.account)
        self.until = start + self._group.policy.ack_timeout

    def lost(self) -> None:
        if self.held:
            self._watcher.lost(self)
