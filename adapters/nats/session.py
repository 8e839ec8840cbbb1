"""One member of a group: hands out events of all partitions under leases, as they come in."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from eventproof.adapters.errors import EventproofError, SessionLost
from eventproof.adapters.expiry import expired
from eventproof.adapters.nats import disposal
from eventproof.adapters.nats.group import Group
from eventproof.adapters.nats.intake import Intake
from eventproof.adapters.nats.link import Link
from eventproof.adapters.nats.message import Message
from eventproof.adapters.nats.settle import HandOut, JetStreamDelivery, Prefetched

log = logging.getLogger("eventproof.adapters.nats")
AHEAD: Final = 4  # messages fetched beyond those handed out, while fewer tasks than that wait for one


class Session:
    """`eventproof.adapters.port.Subscription` on JetStream; several tasks may iterate over it."""

    def __init__(self, link: Link, group: Group) -> None:
        self._link = link
        self._group = group
        self._intake = Intake(
            link,
            group,
            delivered=self._delivered,
            changed=self._wake,
            gone=self.end,
            settling=lambda: any(hand_out.busy for hand_out in self._handed.values()),
        )
        self._handed: dict[int, HandOut] = {}  # by partition: one message of each is in flight
        self._lease_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._waiters = 0
        self._change = asyncio.Event()
        self._ended: str | None = None

    def __aiter__(self) -> Session:
        return self

    async def __anext__(self) -> JetStreamDelivery:
        self._waiters += 1
        try:
            while (delivery := await self._hand_out()) is None:
                self._change.clear()
                await self._pump()
                await self._change.wait()
        finally:
            self._waiters -= 1
        return delivery

    async def open(self) -> None:
        """Begin to listen. Raises Indeterminate."""
        self._link.on_close.add(self._closed)
        self._link.on_restart.add(self._restarted)
        await self._intake.open()

    async def close(self) -> None:
        """Leave: what is unsettled goes back, so that others have it at once."""
        self.end(f"this member left group {self._group.name}")
        self._link.on_close.discard(self._closed)
        self._link.on_restart.discard(self._restarted)
        if self._lease_timer is not None:
            self._lease_timer.cancel()
        try:
            await self._link.within_deadline("leaving", self._leave())
        except EventproofError as failed:
            log.info("what is unsettled comes back when its lease ends: %s", failed)

    async def _leave(self) -> None:
        await self._intake.close()
        handed = [hand_out for hand_out in self._handed.values() if not hand_out.busy]
        for hand_out in handed:
            hand_out.delivery.lose()
        if self._link.connected:
            await self._return_all(handed)

    def end(self, reason: str) -> None:
        """From now on `__anext__` raises SessionLost."""
        self._ended = self._ended or reason
        self._change.set()

    async def settling(self, hand_out: HandOut) -> None:
        if not hand_out.released and self._ended is None:
            hand_out.released = True
            self._intake.puller.release(hand_out.partition)
            await self._pump()

    def ended(self, hand_out: HandOut) -> None:
        self._intake.active = self._loop.time()
        if self._handed.get(hand_out.partition) is hand_out:
            del self._handed[hand_out.partition]
        if not hand_out.released:
            hand_out.released = True
            self._intake.puller.release(hand_out.partition)
        self._wake()

    async def _hand_out(self) -> JetStreamDelivery | None:
        """The next delivery, or None if there is none now; nothing is awaited before it says None."""
        ready = self._intake.ready
        while self._ended is None:
            if not ready or self._room(1) < 1:
                return None
            self._intake.taken()
            prefetched = ready.popleft()
            if expired(prefetched.event):
                self._intake.spawn(prefetched.message.partition, self._intake.give_up(prefetched, "expired"))
            elif self._intake.age(prefetched) < self._group.grace / 2 or await self._renew(prefetched):
                return self._deliver(prefetched)
        raise SessionLost(self._ended)

    def _deliver(self, prefetched: Prefetched) -> JetStreamDelivery:
        hand_out = HandOut(self._link, self._group, prefetched, self)
        self._handed[hand_out.partition] = hand_out
        if self._lease_timer is None:
            self._lease_timer = self._loop.call_at(hand_out.until, self._end_leases)
        return hand_out.delivery

    def _end_leases(self) -> None:
        """One timer for all hand-outs: a lease that is over frees its lane."""
        now = self._loop.time()
        for hand_out in [held for held in self._handed.values() if held.until <= now]:
            hand_out.delivery.lose()
        next_end = min((held.until for held in self._handed.values()), default=None)
        self._lease_timer = None if next_end is None else self._loop.call_at(next_end, self._end_leases)

    async def _renew(self, prefetched: Prefetched) -> bool:
        try:
            renewed = await self._intake.renew(prefetched)
        except EventproofError as failed:
            log.info("a message waited too long and could not be renewed: %s", failed)
            self._intake.forget(prefetched.message, prefetched.attempt)
            return False
        except asyncio.CancelledError:
            self._intake.ready.appendleft(prefetched)
            self._wake()
            raise
        if renewed and self._ended is not None:  # left meanwhile: it goes back with the rest
            self._intake.ready.appendleft(prefetched)
            return False
        return renewed

    async def _return_all(self, handed: list[HandOut]) -> None:
        acts = [disposal.give_back(self._link, self._group, prefetched) for prefetched in self._intake.ready]
        acts += [disposal.hand_back(self._link, hand_out.prefetched.message) for hand_out in handed]
        for failed in await asyncio.gather(*acts, return_exceptions=True):
            if isinstance(failed, EventproofError):
                log.info("a message was not returned, and comes back when its lease ends: %s", failed)
            elif failed is not None:
                raise failed

    def _delivered(self, message: Message) -> None:
        hand_out = self._handed.get(message.partition)
        if hand_out is not None and hand_out.prefetched.message.sequence == message.sequence:
            hand_out.overtaken()

    def _room(self, wanted: int) -> int:
        """How many of `wanted` hand-outs the policy allows beside those that nobody is settling."""
        room = self._group.policy.max_in_flight - len(self._handed)
        if room < wanted:  # counted only when it matters: this runs several times for each event
            room += sum(hand_out.busy for hand_out in self._handed.values())
        return min(wanted, room)

    async def _pump(self) -> None:
        """Ask for what those who wait take at once, or a little more."""
        wanted = max(AHEAD, self._waiters) if self._waiters else 1
        await self._intake.puller.pump(self._room(wanted) - len(self._intake.ready), self._at_once())

    def _at_once(self) -> int:
        """How many events are worked on side by side; 0 where the policy does not allow one of each lane."""
        allowed = self._group.policy.max_in_flight >= self._group.topic.partitions
        return self._waiters + len(self._handed) if allowed else 0

    def _wake(self) -> None:
        """Let who waits look for a delivery, and ask for more."""
        self._change.set()

    def _restarted(self) -> None:
        """Another server process, which may not know who has what, and give all of it to others at once."""
        self._intake.drop()
        for hand_out in tuple(self._handed.values()):
            hand_out.delivery.lose()

    def _closed(self) -> None:
        self.end(self._link.closed)
