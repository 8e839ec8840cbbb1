"""What the tests do with a memory broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from zlib import crc32

import pytest

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import Indeterminate, Rejected, SessionLost
from eventproof.adapters.memory import Engine, connect, engine_at
from eventproof.adapters.memory.broker import MemoryBroker, MemorySubscription
from eventproof.adapters.policy import Policy
from eventproof.schemas.event import Event

URL = "memory://tests"
NO_DELAY = Policy(backoff=())
HELD = Policy(ack_timeout=20.0, backoff=(), max_attempts=2, dead_letter="dead")
SETTLING: dict[str, Callable[[LeasedDelivery], Awaitable[None]]] = {
    "ack": lambda held: held.ack(),
    "nack": lambda held: held.nack(delay=7),
    "reject": lambda held: held.reject("no"),
    "extend": lambda held: held.extend(),
}


def event(number: int | str = 0, key: str | None = None, **more: Any) -> Event:
    extensions = {**more.pop("extensions", {}), "partitionkey": key}
    given = {"source": "/tests", "type": "shop.order.created", "id": str(number), "data": number} | more
    return Event(**given, extensions=extensions)


@asynccontextmanager
async def memory(**options: Any) -> AsyncIterator[MemoryBroker]:
    async with connect(URL, **options) as broker:
        yield broker


async def publish(
    broker: MemoryBroker, *ids: int | str, topic: str = "orders", key: str | None = None
) -> None:
    for number in ids:
        await broker.publish(topic, event(number, key))


async def take(subscription: MemorySubscription, within: float = 1000.0) -> LeasedDelivery:
    """The next delivery. Raises asyncio.TimeoutError."""
    return await asyncio.wait_for(subscription.__anext__(), within)


async def take_all(subscription: MemorySubscription) -> list[LeasedDelivery]:
    """What can be had at this moment."""
    taken = []
    try:
        while True:
            taken.append(await take(subscription, 0.01))
    except asyncio.TimeoutError:
        return taken


async def acked(subscription: MemorySubscription) -> list[str]:
    """The ids of what comes, each acked at once, until nothing has come for a moment."""
    ids = []
    try:
        while True:
            delivery = await take(subscription, 0.01)
            await delivery.ack()
            ids.append(delivery.event.id)
    except asyncio.TimeoutError:
        return ids


async def nothing(subscription: MemorySubscription, during: float = 0.01) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await take(subscription, during)


def ids(deliveries: list[LeasedDelivery]) -> list[str]:
    return [delivery.event.id for delivery in deliveries]


# under faults


def engine() -> Engine:
    return engine_at(URL)


def stored(topic: str = "orders") -> list[str]:
    return [copy.event.id for copy in engine().topic(topic).log]


def arrives(verb: str, number: object) -> bool:
    """Whether such a call takes its step that is on its way at a kill."""
    return crc32(f"{verb} {number}".encode()) % 2 == 0


async def killed_for(seconds: float) -> None:
    engine().kill()
    await asyncio.sleep(seconds)
    engine().revive()


async def outcome(call: Awaitable[object]) -> str:
    """What an act raised, "" if it returned."""
    try:
        await call
    except (Indeterminate, Rejected, SessionLost) as problem:
        return type(problem).__name__
    return ""


async def on_their_way(*calls: Awaitable[object]) -> list[asyncio.Future[str]]:
    """The calls, invoked and not yet carried out."""
    invoked = [asyncio.ensure_future(outcome(call)) for call in calls]
    await asyncio.sleep(0)
    return invoked


async def enter(broker: MemoryBroker, group: str) -> None:
    async with broker.subscribe("orders", group=group):
        pass
