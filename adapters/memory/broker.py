"""Connections to memory brokers. Those opened under one URL in one event loop meet in one broker,
which lives until the last of them is closed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import InvalidOption, Rejected, SessionLost
from eventproof.adapters.memory.claims import claims
from eventproof.adapters.memory.engine import Engine
from eventproof.adapters.memory.state import Line, Options, Session
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Receipt
from eventproof.schemas.event import Event

_Place: TypeAlias = tuple[asyncio.AbstractEventLoop, str]
_engines: dict[_Place, Engine] = {}
_connections: Counter[_Place] = Counter()


@asynccontextmanager
async def connect(
    url: str = "memory://", *, engine: type[Engine] = Engine, **options: Any
) -> AsyncIterator[MemoryBroker]:
    """Open one participant's connection; the first one configures the broker (see `Options`).

    Raises InvalidOption.
    """
    try:
        configured = msgspec.convert(options, Options)
    except msgspec.ValidationError as problem:
        raise InvalidOption(f"memory adapter: {problem}") from problem
    place = (asyncio.get_running_loop(), url)
    meeting = _engines.setdefault(place, engine(configured))
    _connections[place] += 1
    broker = MemoryBroker(meeting)
    try:
        yield broker
    finally:
        broker.close()
        _connections[place] -= 1
        if not _connections[place]:
            del _connections[place], _engines[place]


def engine_at(url: str) -> Engine:
    """The broker behind the URL of a connection open in this event loop, for administration."""
    return _engines[asyncio.get_running_loop(), url]


class MemoryBroker:
    """`eventproof.adapters.port.Broker` in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions: set[Session] = set()
        self._line = Line()
        self._open = True
        self.claims: Claims = claims(engine.options)

    async def publish(self, topic: str, event: Event) -> Receipt:
        return await self._engine.call(self._line, "publish", event, partial(self._publish, topic, event))

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[MemorySubscription]:
        join = partial(self._join, topic, group, policy)
        session = await self._engine.call(self._line, "subscribe", group, join)
        try:
            yield MemorySubscription(self._engine, session)
        finally:
            self._leave(session)

    def close(self) -> None:
        """Leave every group."""
        self._open = False
        for session in tuple(self._sessions):
            self._leave(session)

    def sever(self) -> None:
        """Be gone without a word, as a killed process is: nothing is given back, and nothing arrives."""
        self._engine.sever(self._line)
        self._sessions.clear()

    def _publish(self, topic: str, event: Event) -> Receipt:
        self._check_open()
        return self._engine.publish(self._engine.topic(topic), event)

    def _join(self, topic: str, group: str, policy: Policy) -> Session:
        self._check_open()
        session = self._engine.join(self._engine.topic(topic), group, policy)
        session.line = self._line
        self._sessions.add(session)
        return session

    def _check_open(self) -> None:
        if not self._open:
            raise Rejected("closed", "the connection was closed")

    def _leave(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
            self._engine.leave(session)


class MemorySubscription:
    """Takes its deliveries from the broker one by one; nothing is prefetched. Several tasks may iterate."""

    def __init__(self, engine: Engine, session: Session) -> None:
        self._engine = engine
        self._session = session

    def __aiter__(self) -> MemorySubscription:
        return self

    async def __anext__(self) -> LeasedDelivery:
        group = self._session.group
        while (delivery := self._engine.take(self._session)) is None:
            if group.ready:  # it was woken for what it cannot take any more: let another look
                self._engine.wake(group)
            if self._session.line.cut:
                await asyncio.get_running_loop().create_future()  # nobody is there any more to be told
            if not self._session.open:
                raise SessionLost(f"this member left group {group.name}")
            waiter = asyncio.get_running_loop().create_future()
            group.waiting[waiter] = self._session
            try:
                await waiter
            except asyncio.CancelledError:
                if group.waiting.pop(waiter, None) is None:  # woken and cancelled at once: let another look
                    self._engine.wake(group)
                raise
        return delivery
