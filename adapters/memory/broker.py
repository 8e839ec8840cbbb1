"""Connections to memory brokers. Those opened under one URL in one event loop meet in one broker,
which lives until the last of them is closed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import EventproofError, Indeterminate
from eventproof.adapters.memory.claims import claims
from eventproof.adapters.memory.engine import Engine
from eventproof.adapters.memory.state import Options, Session
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Receipt
from eventproof.schemas.event import Event

_engines: dict[str, Engine] = {}
_connections: Counter[str] = Counter()


class InvalidOption(EventproofError):
    """An option that the adapter does not have, or a value that it cannot take."""


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
    meeting = _engines.setdefault(url, engine(configured))
    _connections[url] += 1
    broker = MemoryBroker(meeting)
    try:
        yield broker
    finally:
        broker.close()
        _connections[url] -= 1
        if not _connections[url]:
            del _connections[url], _engines[url]


def engine_at(url: str) -> Engine:
    """The broker behind an open connection's URL, for administration."""
    return _engines[url]


class MemoryBroker:
    """`eventproof.adapters.port.Broker` in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions: set[Session] = set()
        self._open = True
        self.claims: Claims = claims(engine.options)

    async def publish(self, topic: str, event: Event) -> Receipt:
        await asyncio.sleep(0)
        if not self._open:
            raise Indeterminate("the connection was closed")
        return self._engine.publish(self._engine.topic(topic), event)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[MemorySubscription]:
        await asyncio.sleep(0)
        session = self._engine.join(self._engine.topic(topic), group, policy)
        self._sessions.add(session)
        try:
            yield MemorySubscription(self._engine, session)
        finally:
            self._leave(session)

    def close(self) -> None:
        """Leave every group."""
        self._open = False
        for session in tuple(self._sessions):
            self._leave(session)

    def _leave(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
            self._engine.leave(session)


class MemorySubscription:
    """Takes its deliveries from the broker one by one; nothing is prefetched."""

    def __init__(self, engine: Engine, session: Session) -> None:
        self._engine = engine
        self._session = session

    def __aiter__(self) -> MemorySubscription:
        return self

    async def __anext__(self) -> LeasedDelivery:
        group = self._session.group
        while (delivery := self._engine.take(self._session)) is None:
            waiter = asyncio.get_running_loop().create_future()
            group.waiting[waiter] = self._session
            try:
                await waiter
            except asyncio.CancelledError:
                if group.waiting.pop(waiter, None) is None:  # woken and cancelled at once: let another look
                    self._engine.wake(group)
                raise
        return delivery
