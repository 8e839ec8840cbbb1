"""The port on top of a driver: what a broker, a subscription and a delivery are in another process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeVar

from eventproof.adapters import errors
from eventproof.adapters.claims import Claims
from eventproof.adapters.connect import UnknownAdapter
from eventproof.adapters.delivery import Lost, Verb, leave
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Broker, Receipt, Subscription
from eventproof.conformance.driver import lines
from eventproof.conformance.driver.exchange import DriverFailed, Exchange, Gone, Make
from eventproof.conformance.driver.lines import Answer
from eventproof.schemas.event import Event

Entered = TypeVar("Entered")

NEXT: Final = 1.0  # seconds after which a wait for a delivery is asked for again
START: Final = 30.0  # seconds within which a connection is open, or not there
LEAVE: Final = 5.0  # seconds for leaving when something else went wrong already
REFUSALS: Final = {
    "unsupported": errors.Unsupported,
    "already-settled": errors.AlreadySettled,
    "lease-expired": errors.LeaseExpired,
}
NO_CONNECTION: Final = {
    "unreachable": errors.Unreachable,
    "invalid-option": errors.InvalidOption,
    "no-adapter": UnknownAdapter,
}


class AdapterRaised(Exception):
    """The adapter in the driver raised what is no outcome; the message is the driver's, as a rule its
    traceback."""


def raised(answer: Answer) -> Exception | None:
    """What the call of the port raised; None if it took effect."""
    if isinstance(answer, lines.Rejected):
        kind = REFUSALS.get(answer.kind)
        return errors.Rejected(answer.kind, answer.detail) if kind is None else kind(answer.detail)
    if isinstance(answer, lines.Indeterminate):
        return errors.Indeterminate(answer.detail)
    if isinstance(answer, lines.Lost):
        return errors.SessionLost(answer.detail)
    return AdapterRaised(answer.detail) if isinstance(answer, lines.Error) else None


def checked(answer: Answer) -> Answer:
    """The answer of a call that took effect. Raises what the call of the port raised."""
    if (error := raised(answer)) is not None:
        raise error
    return answer


@asynccontextmanager
async def connect(exchange: Exchange, url: str, **options: Any) -> AsyncIterator[Broker]:
    """One participant's connection through a driver process.

    Raises Unreachable, InvalidOption, UnknownAdapter, Rejected, Indeterminate, DriverFailed, AdapterRaised.
    """
    number = next(exchange.numbers)
    start = partial(lines.Start, connection=number, url=url, options=options)
    close = partial(lines.Close, connection=number)
    async with _entered(exchange, _started(exchange, start, close), close) as started:
        broker = DriverBroker(exchange, number, started.claims)
        try:
            yield broker
        finally:
            broker.forget()


async def _started(exchange: Exchange, start: Make, close: Make) -> lines.Started:
    try:
        answer = await asyncio.wait_for(exchange.call(start), START)
    except asyncio.TimeoutError:
        exchange.ask(close, _ignored)
        raise errors.Unreachable(f"the driver did not answer start within {START:g} s") from None
    except Gone as gone:
        raise errors.Unreachable(str(gone)) from gone
    if isinstance(answer, lines.Rejected) and answer.kind in NO_CONNECTION:
        raise NO_CONNECTION[answer.kind](answer.detail)
    started = checked(answer)
    assert isinstance(started, lines.Started)
    return started


@asynccontextmanager
async def _entered(exchange: Exchange, entering: Awaitable[Entered], leave: Make) -> AsyncIterator[Entered]:
    """What was entered in the driver is left there, however it ends here."""
    try:
        entered = await entering
    except asyncio.CancelledError:  # it may be entered yet
        exchange.ask(leave, _ignored)
        raise
    seconds: float | None = LEAVE
    try:
        yield entered
        seconds = None
    finally:
        await _leave(exchange, leave, seconds)


async def _leave(exchange: Exchange, leave: Make, seconds: float | None) -> None:
    """seconds: to wait for the answer where an error is on its way already, which then counts. There is
    nothing to leave in a process that is known to have ended."""
    if exchange.over and exchange.told:
        return
    try:
        checked(await asyncio.wait_for(exchange.call(leave), seconds))
    except Gone:
        pass
    except (errors.EventproofError, DriverFailed, AdapterRaised, asyncio.TimeoutError):
        if seconds is None:
            raise


def _ignored(_: Answer | Exception) -> None:
    """Nobody waits for this answer."""


class DriverBroker:
    """`eventproof.adapters.port.Broker` in a driver process."""

    def __init__(self, exchange: Exchange, number: int, claims: Claims) -> None:
        self._exchange = exchange
        self._number = number
        self._handed: list[int] = []
        self.claims = claims

    async def publish(self, topic: str, event: Event) -> Receipt:
        text = lines.write_event(event)
        make = partial(lines.Publish, connection=self._number, topic=topic, event=text)
        answer = checked(await self._exchange.call(make))
        assert isinstance(answer, lines.Published)
        return Receipt(answer.position, answer.partition, answer.duplicate)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Subscription]:
        number = next(self._exchange.numbers)
        enter = partial(
            lines.Subscribe, connection=self._number, subscription=number, topic=topic, group=group,
            policy=policy,
        )  # fmt: skip
        leave = partial(lines.Unsubscribe, subscription=number)
        async with _entered(self._exchange, _done(self._exchange, enter), leave):
            subscription = DriverSubscription(self._exchange, number, self._handed)
            try:
                yield subscription
            finally:
                subscription.left()

    def forget(self) -> None:
        """The connection is about to be closed: nobody hears of its leases any more."""
        for number in self._handed:
            self._exchange.leases.pop(number, None)


async def _done(exchange: Exchange, make: Make) -> None:
    checked(await exchange.call(make))


class DriverSubscription:
    """Asks for one delivery at a time. An answer that comes when nobody waits is for the next wait."""

    def __init__(self, exchange: Exchange, number: int, handed: list[int]) -> None:
        self._exchange = exchange
        self._next = partial(lines.Next, subscription=number, timeout=NEXT)
        self._handed = handed
        self._asked = False
        self._left = False
        self._told: deque[DriverDelivery | Exception] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __aiter__(self) -> DriverSubscription:
        return self

    async def __anext__(self) -> DriverDelivery:
        """Raises SessionLost, also after a kill by the suite; Rejected, DriverFailed, AdapterRaised."""
        while not self._left:
            if self._told:
                return self._take()
            if self._asked:
                await self._woken()
            else:
                self._asked = True
                self._exchange.ask(self._next, self._answered)
        raise errors.SessionLost("the subscription was left")

    def left(self) -> None:
        """Nothing is handed out any more."""
        self._left = True
        while self._waiters:
            self._wake()

    def _take(self) -> DriverDelivery:
        told = self._told.popleft()
        self._wake()  # another one that waits can ask now
        if isinstance(told, Gone):
            raise errors.SessionLost(str(told)) from told
        if isinstance(told, Exception):
            raise told
        return told

    def _answered(self, told: Answer | Exception) -> None:
        if isinstance(told, lines.Handed):
            self._told.append(self._delivery(told.delivery))
        elif isinstance(told, Exception):
            self._told.append(told)
        elif (error := raised(told)) is not None:
            self._told.append(error)
        self._asked = False
        self._wake()

    def _delivery(self, given: lines.Delivered) -> DriverDelivery:
        """Raises Malformed."""
        event, lost = lines.read_event(given.event), self._exchange.hand_out(given)
        self._handed.append(given.number)
        return DriverDelivery(self._exchange, given, event, lost)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _woken(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # woken and cancelled at once: let another look
                self._wake()
            raise


class DriverDelivery:
    """`eventproof.adapters.port.Delivery` in a driver process. What it may do is the adapter's to say."""

    def __init__(self, exchange: Exchange, given: lines.Delivered, event: Event, lost: Lost) -> None:
        self._exchange = exchange
        self._number = given.number
        self._verb: Verb | None = None
        self.event = event
        self.attempt = given.attempt
        self.position = given.position
        self.partition = given.partition
        self.lost = lost

    async def ack(self) -> None:
        await self._settle("ack", partial(lines.Ack, delivery=self._number))

    async def nack(self, *, delay: float | None = None) -> None:
        await self._settle("nack", partial(lines.Nack, delivery=self._number, delay=delay))

    async def reject(self, reason: str) -> None:
        await self._settle("reject", partial(lines.Reject, delivery=self._number, reason=reason))

    async def extend(self) -> None:
        await _done(self._exchange, partial(lines.Extend, delivery=self._number))

    async def _settle(self, verb: Verb, make: Make) -> None:
        await _done(self._exchange, make)
        self._verb = verb

    async def __aenter__(self) -> Event:
        return self.event

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return await leave(self, self._verb, error)
