"""What each request of the driver protocol does with the served adapter."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from importlib.metadata import version
from itertools import count
from typing import Any, TypeVar

from eventproof.adapters.connect import Connect
from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.port import Broker, Delivery
from eventproof.conformance.driver import lines
from eventproof.conformance.driver.held import Held
from eventproof.conformance.driver.lines import Answer, Request
from eventproof.conformance.driver.session import Session

Numbered = TypeVar("Numbered")


class _Handed:
    """A delivery that was handed out on a connection, and the watch over its lease."""

    def __init__(self, delivery: Delivery, connection: int, lost: Callable[[], None]) -> None:
        self.delivery = delivery
        self.connection = connection
        self._watch = asyncio.ensure_future(self._tell(lost))

    async def _tell(self, lost: Callable[[], None]) -> None:
        await self.delivery.lost
        lost()

    def settled(self) -> None:
        """Nobody needs to hear of the lease any more."""
        self._watch.cancel()


class Acts:
    """The connections, subscriptions and deliveries of one process, by their numbers.

    connect: opens a connection. name: what `hello` tells. notify: sends a notice.
    """

    def __init__(self, connect: Connect, name: str, notify: Callable[[lines.LeaseLost], None]) -> None:
        self._connect = connect
        self._name = name
        self._notify = notify
        self._greeted = False
        self._connections: dict[int, Held[Broker]] = {}
        self._brokers: dict[int, Broker] = {}
        self._sessions: dict[int, Session] = {}
        self._handed: dict[int, _Handed] = {}
        self._numbers = count(1)
        self._by_kind: Mapping[type, Callable[[Any], Awaitable[Answer]]] = {
            lines.Hello: self._hello, lines.Start: self._start, lines.Publish: self._publish,
            lines.Subscribe: self._subscribe, lines.Next: self._next, lines.Ack: self._ack,
            lines.Extend: self._extend, lines.Nack: self._nack, lines.Reject: self._reject,
            lines.Unsubscribe: self._unsubscribe, lines.Close: self._close,
        }  # fmt: skip

    async def do(self, request: Request) -> Answer:
        """Carry a request out. Raises what the call of the port raises, and Rejected (`invalid`, `closed`,
        `protocol`) for what leads to no call."""
        if not (self._greeted or isinstance(request, lines.Hello)):
            raise Rejected("invalid", "hello comes first")
        return await self._by_kind[type(request)](request)

    async def leave_all(self) -> None:
        """Close every connection. What they raise is lost."""
        await asyncio.gather(*map(self._end, tuple(self._connections)), return_exceptions=True)

    async def _hello(self, request: lines.Hello) -> Answer:
        if request.protocol != lines.PROTOCOL:
            raise Rejected("protocol", f"version {lines.PROTOCOL} is spoken here, not {request.protocol}")
        self._greeted = True
        python = ".".join(map(str, sys.version_info[:3]))
        versions = {"eventproof": version("eventproof"), "python": python}
        return lines.Welcome(request.id, lines.PROTOCOL, self._name, versions)

    # Connections.

    async def _start(self, request: lines.Start) -> Answer:
        number = _unused(request.connection, self._connections)
        held: Held[Broker] = Held(lambda: self._connect(request.url, **request.options))
        self._connections[number] = held
        started = None
        try:
            broker = await held.enter()
            if number not in self._connections:
                raise Indeterminate("it was closed before it was open")
            self._brokers[number] = broker
            started = lines.Started(request.id, broker.claims)
        finally:
            if started is None:
                await self._end(number)
        return started

    async def _close(self, request: lines.Close) -> Answer:
        _open(request.connection, self._connections)
        await self._end(request.connection)
        return lines.Done(request.id)

    async def _end(self, connection: int) -> None:
        """Close a connection, if it is there, with all that belongs to it."""
        held = self._connections.pop(connection, None)
        self._brokers.pop(connection, None)
        if held is None:
            return
        for number in [n for n, handed in self._handed.items() if handed.connection == connection]:
            self._handed.pop(number).settled()
        async with AsyncExitStack() as stack:  # each is left, whatever becomes of the others
            stack.push_async_callback(held.leave)
            for number in [n for n, session in self._sessions.items() if session.connection == connection]:
                stack.push_async_callback(self._sessions.pop(number).leave)

    async def _publish(self, request: lines.Publish) -> Answer:
        broker = _open(request.connection, self._brokers)
        try:
            event = lines.read_event(request.event)
        except lines.Malformed as problem:
            raise Rejected("invalid", str(problem)) from problem
        receipt = await broker.publish(request.topic, event)
        return lines.Published(request.id, receipt.position, receipt.partition, receipt.duplicate)

    # Subscriptions.

    async def _subscribe(self, request: lines.Subscribe) -> Answer:
        broker = _open(request.connection, self._brokers)
        number = _unused(request.subscription, self._sessions)
        session = Session(
            lambda: broker.subscribe(request.topic, group=request.group, policy=request.policy),
            request.connection,
        )
        self._sessions[number] = session
        entered = False
        try:
            await session.enter()
            entered = True
        finally:
            if not entered:
                self._sessions.pop(number, None)
        return lines.Done(request.id)

    async def _next(self, request: lines.Next) -> Answer:
        session = _open(request.subscription, self._sessions)
        delivery = await session.next(request.timeout)
        if delivery is None:
            return lines.Empty(request.id)
        number = next(self._numbers)
        told = lines.Delivered(
            number, lines.write_event(delivery.event), delivery.attempt, delivery.position, delivery.partition
        )
        lost = lines.LeaseLost(number)
        self._handed[number] = _Handed(delivery, session.connection, lambda: self._notify(lost))
        return lines.Handed(request.id, told)

    async def _unsubscribe(self, request: lines.Unsubscribe) -> Answer:
        _open(request.subscription, self._sessions)
        await self._sessions.pop(request.subscription).leave()
        return lines.Done(request.id)

    # Deliveries.

    async def _ack(self, request: lines.Ack) -> Answer:
        handed = _open(request.delivery, self._handed)
        await handed.delivery.ack()
        return _settled(handed, request)

    async def _nack(self, request: lines.Nack) -> Answer:
        handed = _open(request.delivery, self._handed)
        await handed.delivery.nack(delay=request.delay)
        return _settled(handed, request)

    async def _reject(self, request: lines.Reject) -> Answer:
        handed = _open(request.delivery, self._handed)
        await handed.delivery.reject(request.reason)
        return _settled(handed, request)

    async def _extend(self, request: lines.Extend) -> Answer:
        await _open(request.delivery, self._handed).delivery.extend()
        return lines.Done(request.id)


def _settled(handed: _Handed, request: lines.Ack | lines.Nack | lines.Reject) -> Answer:
    handed.settled()
    return lines.Done(request.id)


def _open(number: int, there: Mapping[int, Numbered]) -> Numbered:
    if number not in there:
        raise Rejected("closed", f"nothing is open that has the number {number}")
    return there[number]


def _unused(number: int, there: Mapping[int, object]) -> int:
    if number in there:
        raise Rejected("invalid", f"the number {number} is in use")
    return number
