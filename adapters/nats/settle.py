"""Settling one hand-out at the server; each act is confirmed by it.

The server takes a settlement from whoever sends it, however late. So nothing is sent once the lease is
over, nor kept for later while there is no connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol

import msgspec

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import Indeterminate, LeaseExpired, Rejected
from eventproof.adapters.nats import lease
from eventproof.adapters.nats.api import NANOSECONDS
from eventproof.adapters.nats.deadletter import bury
from eventproof.adapters.nats.group import Group
from eventproof.adapters.nats.link import ConnectionLost, Link, NoAnswer
from eventproof.adapters.nats.message import Message
from eventproof.schemas.deadletter import Reason
from eventproof.schemas.event import Event

ACK: Final = b"+ACK"
PROGRESS: Final = b"+WPI"
RETRY: Final = 0.05  # seconds between tries while the server starts
REPEATABLE: Final = (ACK, PROGRESS)  # twice is as good as once; a nack sent again would hit the next attempt


class Prefetched(msgspec.Struct, eq=False, gc=False):
    """A decoded message that waits to be handed out as the given attempt."""

    message: Message
    event: Event
    attempt: int


class Watcher(Protocol):
    """Who keeps the hand-outs: the session."""

    async def settling(self, hand_out: HandOut) -> None:
        """A settlement begins: its lane is as good as free."""
        ...

    def ended(self, hand_out: HandOut) -> None:
        """Settled, or the lease is lost."""
        ...


class JetStreamDelivery(LeasedDelivery):
    """Tells its session when the lease is lost."""

    __slots__ = ("hand_out",)
    hand_out: HandOut

    def lose(self) -> None:
        super().lose()
        self.hand_out.lost()


class HandOut:
    """`eventproof.adapters.delivery.Settlement` of one message.

    busy: a settlement is on its way. released: its lane was given free by one.
    until: `loop.time()` at which the lease ends.
    """

    __slots__ = (
        "_group", "_link", "_loop", "_over", "_overtaken", "_watcher",
        "busy", "delivery", "prefetched", "released", "until",
    )  # fmt: skip

    def __init__(self, link: Link, group: Group, prefetched: Prefetched, watcher: Watcher) -> None:
        self._link = link
        self._group = group
        self._watcher = watcher
        self.prefetched = prefetched
        self.busy = self.released = self._over = self._overtaken = False
        self._loop = asyncio.get_running_loop()
        self.until = self._loop.time() + group.policy.ack_timeout
        message = prefetched.message
        self.delivery = JetStreamDelivery(
            prefetched.event,
            self,
            attempt=prefetched.attempt,
            ack_timeout=group.policy.ack_timeout,
            position=str(message.sequence),
            partition=message.partition,
        )
        self.delivery.hand_out = self

    @property
    def partition(self) -> int:
        return self.prefetched.message.partition

    async def ack(self) -> None:
        await self._settle(self._confirm(ACK))

    async def nack(self, delay: float | None) -> None:
        attempt, policy = self.prefetched.attempt, self._group.policy
        if policy.max_attempts is not None and attempt >= policy.max_attempts:
            await self._settle(self._bury("attempts", ""))
        else:
            await self._settle(self._confirm(_nak(policy.delay_after(attempt) if delay is None else delay)))

    async def reject(self, reason: str) -> None:
        if self._group.policy.dead_letter is None:
            raise Rejected(
                "no-dead-letter", f"the policy of group {self._group.name} names no dead-letter topic"
            )
        await self._settle(self._bury("rejected", reason))

    async def extend(self) -> None:
        start = self._loop.time()
        await self._confirm(PROGRESS)
        self.until = start + self._group.policy.ack_timeout

    def lost(self) -> None:
        self._over = True
        self._watcher.ended(self)

    def overtaken(self) -> None:
        """The server delivered the message again: the next attempt has it. While a nack is on its way, that
        is what it asked for."""
        if self.busy:
            self._overtaken = True
        else:
            self.delivery.lose()

    async def _settle(self, act: Awaitable[None]) -> None:
        self.busy = True
        try:
            await self._watcher.settling(self)
            await act
        except BaseException:
            if self._overtaken:
                self.delivery.lose()
            raise
        finally:
            self.busy = False
        self._watcher.ended(self)

    async def _confirm(self, verb: bytes) -> None:
        start = self._loop.time()
        if self._link.connected:  # to a server process that knows of this hand-out
            try:
                await lease.send(self._link, self.prefetched.message, verb)
            except (ConnectionLost, NoAnswer) as failed:
                if verb not in REPEATABLE:
                    raise
                await self._link.within_deadline("settling", self._confirm_later(verb, failed), since=start)
            return
        await self._link.within_deadline("settling", self._confirm_later(verb, None), since=start)

    async def _confirm_later(self, verb: bytes, failed: Indeterminate | None) -> None:
        """The server is restarting, or was. failed: how an earlier try ended, which may have had its effect:
        then a lease that is over says nothing."""
        while True:
            await self._when_connected(failed)
            try:
                await lease.send(self._link, self.prefetched.message, verb)
            except (ConnectionLost, NoAnswer) as again:
                if verb not in REPEATABLE:
                    raise
                failed = again
                await asyncio.sleep(RETRY)
            else:
                return

    async def _bury(self, reason: Reason, error: str) -> None:
        message, event = self.prefetched.message, self.prefetched.event

        async def steps() -> None:
            await self._when_connected()
            attempts = self.prefetched.attempt
            await bury(self._link, self._group, message, event, reason=reason, attempts=attempts, error=error)

        await self._link.within_deadline("dead-lettering", steps())

    async def _when_connected(self, failed: Indeterminate | None = None) -> None:
        await self._link.ready()
        gone = lease.gone(self._link, self.prefetched.message)  # of which a session that was left is not told
        if self._over or gone or self._loop.time() >= self.until:
            raise failed or LeaseExpired("the lease ended while there was no connection")


def _nak(delay: float) -> bytes:
    """Without a delay the server redelivers at once, whatever its own back-off."""
    return b'-NAK {"delay": %d}' % round(delay * NANOSECONDS) if delay > 0 else b"-NAK"
