"""One real server for all tests of the adapter; each test has topics of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.nats import connect, provision
from eventproof.adapters.nats.broker import JetStreamBroker
from eventproof.adapters.nats.provision import find
from eventproof.adapters.nats.session import Session
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.schemas.event import Event

WITHIN = 5.0
_numbers = count(1)


class Nats:
    """What the tests do with the server."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def topic(
        self, name: str = "", *, partitions: int = 1, window: float | None = None, **more: float
    ) -> str:
        name = name or f"topic {next(_numbers)}"
        await provision(self.url, name, partitions=partitions, window=window, **more)
        return name

    @asynccontextmanager
    async def broker(self, **options: object) -> AsyncIterator[JetStreamBroker]:
        async with connect(self.url, **options) as broker:
            yield broker

    def event(self, number: int = 0, key: str | None = None, **more: object) -> Event:
        extensions = {"partitionkey": key} if key is not None else {}
        extensions |= more.pop("extensions", {})
        given = {"source": "/tests", "type": "shop.order.created", "id": str(number), "data": number} | more
        return Event(**given, extensions=extensions)

    async def next(self, session: Session, within: float = WITHIN) -> LeasedDelivery:
        return await asyncio.wait_for(session.__anext__(), within)

    async def take(self, session: Session, number: int) -> list[Event]:
        """Receive and ack so many events."""
        events = []
        for _ in range(number):
            delivery = await self.next(session)
            await delivery.ack()
            events.append(delivery.event)
        return events

    async def nothing(self, session: Session, during: float = 0.3) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(session.__anext__(), during)

    def stand_still(self, pid: int | None) -> None:
        """Let a process that we started do nothing from now on."""
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)  # the signal alone may take effect later

    async def raw(
        self, broker: JetStreamBroker, topic: str, payload: bytes, headers: dict[str, str] | None = None
    ) -> None:
        """Store bytes that are no event of ours."""
        stream = (await find(broker._link, topic)).stream
        subject = f"{stream.replace('~', '.')}.raw.type"
        await broker._link.request(subject, payload, headers=headers)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    server = NatsServer()
    try:
        asyncio.run(server.start())
        yield server
    finally:
        asyncio.run(server.remove())


@pytest.fixture
def nats(nats_server: NatsServer) -> Nats:
    return Nats(nats_server.url)
