"""One member of a group on core NATS: hands out what the server deals to it, and forgets it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import EventproofError, Rejected, SessionLost
from eventproof.adapters.expiry import expired
from eventproof.adapters.nats import naming
from eventproof.adapters.nats.content import decode
from eventproof.adapters.nats.link import Link, translated
from eventproof.adapters.policy import Policy
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import Event

log = logging.getLogger("eventproof.adapters.nats")
AHEAD: Final = 64  # messages taken from the client's own buffer before somebody asks for them


class HandOut:
    """`eventproof.adapters.delivery.Settlement` that needs no server: it only makes room in its session.

    until: `loop.time()` at which the lease ends.
    """

    __slots__ = ("_session", "_timeout", "delivery", "until")

    def __init__(self, session: Session, event: Event, timeout: float) -> None:
        self._session = session
        self._timeout = timeout
        self.delivery = LeasedDelivery(event, self, attempt=1, ack_timeout=timeout)
        self._renew()

    async def ack(self) -> None:
        self._session.settled(self)

    async def nack(self, delay: float | None) -> None:  # noqa: ARG002 - nothing comes back, at no time
        self._session.settled(self)

    async def reject(self, reason: str) -> None:  # noqa: ARG002 - there is nowhere to keep it
        raise Rejected("no-dead-letter", "core NATS has no dead letters")

    async def extend(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self.until = asyncio.get_running_loop().time() + self._timeout


class Session:
    """`eventproof.adapters.port.Subscription` on core NATS; several tasks may iterate over it.

    What nobody asks for waits in the client library's buffer. When that is full, the library drops what
    comes, and says so.
    """

    def __init__(self, link: Link, group: str, policy: Policy) -> None:
        self._link = link
        self._group = group
        self._policy = policy
        self._interests: list[Subscription] = []
        self._arrived: asyncio.Queue[Msg] = asyncio.Queue(AHEAD)
        self._held: set[HandOut] = set()
        self._lease_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._change = asyncio.Event()
        self._ended: str | None = None

    def __aiter__(self) -> Session:
        return self

    async def __anext__(self) -> LeasedDelivery:
        while (delivery := self._hand_out()) is None:
            self._change.clear()
            await self._change.wait()
        return delivery

    async def open(self, topic: str) -> None:
        """Returns once the server deals events of the topic to this member. Raises Rejected (`invalid`,
        `forbidden`, `closed`), Indeterminate."""
        self._link.on_close.add(self._closed)
        self._link.on_forbidden.add(self._forbidden)
        queue = naming.queue(self._group)
        for pattern in naming.filters(self._link.prefix, topic, None, self._policy.types):
            with translated("subscribing"):
                self._interests.append(
                    await self._link.client.subscribe(pattern, queue=queue, cb=self._receive)
                )
        await self._link.barrier()
        if self._ended is not None:
            raise Rejected("forbidden", self._ended)

    async def close(self) -> None:
        """Leave. What this member had and did not settle is lost."""
        self._end(f"this member left group {self._group}")
        self._link.on_close.discard(self._closed)
        self._link.on_forbidden.discard(self._forbidden)
        if self._lease_timer is not None:
            self._lease_timer.cancel()
        for hand_out in self._held:
            hand_out.delivery.lose()
        try:
            await self._link.within_deadline("leaving", self._leave())
        except EventproofError as failed:
            log.info("the server may go on to deal events to a member that left: %s", failed)

    def settled(self, hand_out: HandOut) -> None:
        """There is room for another one."""
        self._held.discard(hand_out)
        self._change.set()

    async def _leave(self) -> None:
        """Returns once the server deals no more events to this member."""
        client = self._link.client
        if client.is_closed:
            return
        waiting = self._arrived.qsize() + sum(interest.pending_msgs for interest in self._interests)
        if waiting:
            log.warning("group %s: %d events or more are lost with a member that left", self._group, waiting)
        with translated("leaving"):
            for interest in self._interests:
                await interest.unsubscribe()
        if client.is_connected:
            await self._link.barrier()

    async def _receive(self, raw: Msg) -> None:
        await self._arrived.put(raw)
        self._change.set()

    def _hand_out(self) -> LeasedDelivery | None:
        """The next delivery, or None if there is none now."""
        while self._ended is None:
            if self._arrived.empty() or not self._has_room():
                return None
            event = _decoded(self._arrived.get_nowait())
            if event is not None and not expired(event):
                hand_out = HandOut(self, event, self._policy.ack_timeout)
                self._held.add(hand_out)
                return hand_out.delivery
        raise SessionLost(self._ended)

    def _has_room(self) -> bool:
        if len(self._held) >= self._policy.max_in_flight:
            self._end_leases()
        return len(self._held) < self._policy.max_in_flight

    def _end_leases(self) -> None:
        """Leases that are over make room; who waits for that looks again when the next one ends."""
        now = self._loop.time()
        for hand_out in [held for held in self._held if held.until <= now]:
            self._held.discard(hand_out)
            hand_out.delivery.lose()
        if self._lease_timer is not None:
            self._lease_timer.cancel()
        if self._held:
            next_end = min(hand_out.until for hand_out in self._held)
            self._lease_timer = self._loop.call_at(next_end, self._change.set)

    def _end(self, reason: str) -> None:
        self._ended = self._ended or reason
        self._change.set()

    def _forbidden(self, subject: str, words: str) -> None:
        """What is refused is told before the answer to anything that was sent later."""
        if any(interest.subject.lower() == subject for interest in self._interests):
            self._end(words)

    def _closed(self) -> None:
        self._end(self._link.closed)


def _decoded(raw: Msg) -> Event | None:
    """The event of a message; None, and a warning, for one that is no event."""
    try:
        return decode(raw.headers, raw.data)
    except InvalidEvent as problem:
        log.warning("a message on %s is no event and is dropped: %s", raw.subject, problem)
        return None
