"""A delivery under a lease: settles once, fences by its own clock, tells when its lease is lost.

Adapters build their deliveries from this and inject the four acts of their broker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from types import TracebackType
from typing import Any, Literal, Protocol

from eventproof.adapters.errors import AlreadySettled, EventproofError, LeaseExpired, Rejected
from eventproof.adapters.port import Delivery
from eventproof.schemas.event import Event

Verb = Literal["ack", "nack", "reject"]
log = logging.getLogger("eventproof.adapters")


class Settlement(Protocol):
    """What a broker can do with one hand-out. Each act returns once it is confirmed, or raises."""

    def ack(self) -> Awaitable[None]: ...
    def nack(self, delay: float | None) -> Awaitable[None]: ...
    def reject(self, reason: str) -> Awaitable[None]: ...
    def extend(self) -> Awaitable[None]: ...


class Lost:
    """Awaitable any number of times, by any number of tasks; a cancelled wait cancels nothing else."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._event.wait().__await__()


class LeasedDelivery:
    """`eventproof.adapters.port.Delivery` over a broker's `Settlement`.

    The lease starts now and lasts `ack_timeout` seconds of `loop.time()`; the broker's own lease must
    outlast it. `lose()` ends it early, when the broker took the event back. Who never looks at `lost` pays
    for no timer.
    """

    __slots__ = (
        "_ack_timeout", "_deadline", "_loop", "_lost", "_settled", "_settlement", "_taken", "_timer", "_verb",
        "attempt", "event", "partition", "position",
    )  # fmt: skip

    def __init__(
        self,
        event: Event,
        settlement: Settlement,
        *,
        attempt: int,
        ack_timeout: float,
        position: str | None = None,
        partition: int | None = None,
    ) -> None:
        self.event = event
        self.attempt = attempt
        self.position = position
        self.partition = partition
        self._settlement = settlement
        self._verb: Verb | None = None
        self._settled = False
        self._taken = False
        self._lost: Lost | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._ack_timeout = ack_timeout
        self._deadline = self._loop.time() + ack_timeout

    @property
    def lost(self) -> Lost:
        """Done when the lease is lost."""
        if self._lost is None:
            self._lost = Lost()
            if self._taken:
                self._lost.set()
            elif not self._settled:
                self._timer = self._loop.call_at(self._deadline, self._expire)
        return self._lost

    async def ack(self) -> None:
        await self._settle("ack", self._settlement.ack)

    async def nack(self, *, delay: float | None = None) -> None:
        await self._settle("nack", partial(self._settlement.nack, delay))

    async def reject(self, reason: str) -> None:
        await self._settle("reject", partial(self._settlement.reject, reason))

    async def extend(self) -> None:
        self._check_held()
        if self._verb is not None:
            raise AlreadySettled(f"extend after {self._verb}")
        start = self._loop.time()
        await self._settlement.extend()
        self._deadline = start + self._ack_timeout

    def lose(self) -> None:
        """The broker took the event back: from now on every verb raises `LeaseExpired`."""
        if self._settled:
            return
        self._taken = True
        self._stop_timer()
        if self._lost is not None:
            self._lost.set()

    async def _settle(self, verb: Verb, act: Callable[[], Awaitable[None]]) -> None:
        """Carry the verb out, unless it was. While the outcome is not known, only the same verb may be tried
        again, however often that is refused; after a first refusal nothing has happened, and any may."""
        if self._verb is not None and self._verb != verb:
            raise AlreadySettled(f"{verb} after {self._verb}")
        if self._settled:
            return
        self._check_held()
        before, self._verb = self._verb, verb
        try:
            await act()
        except Rejected:
            if self._settled:  # by a call of the same verb that ran beside this one
                return
            self._verb = before
            raise
        self._verb, self._settled = verb, True
        self._stop_timer()

    def _check_held(self) -> None:
        if self._taken or (self._loop.time() >= self._deadline and not self._settled):
            self.lose()
            raise LeaseExpired(f"attempt {self.attempt} held longer than {self._ack_timeout:g} s")

    def _expire(self) -> None:
        if self._loop.time() < self._deadline:  # extended since
            self._timer = self._loop.call_at(self._deadline, self._expire)
        else:
            self.lose()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def __aenter__(self) -> Event:
        return self.event

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return await leave(self, self._verb, error)


async def leave(delivery: Delivery, verb: Verb | None, error: BaseException | None) -> bool:
    """The end of a delivery's context, as the port has it. verb: how the handler settled it, if it did."""
    if error is None:
        if verb is None or verb == "ack":  # else the handler settled it in its own way
            await delivery.ack()
        return True
    if not isinstance(error, Exception):  # cancelled: stays unsettled, comes back by its lease
        return False
    event = delivery.event
    log.warning("handler of %s %s failed, attempt %d", event.type, event.id, delivery.attempt, exc_info=error)
    try:
        await delivery.nack()
    except EventproofError as refused:
        log.warning("nack of %s %s: %s", event.type, event.id, refused)
    return True
