"""Mistake: topics are kept in memory, in the belief that what a stream has confirmed outlives its server.

A stream in memory is gone with the server, and so are its groups. The service finds no topic, makes it again,
as it does whenever it starts, and goes on as if nothing had ever been published.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from eventproof.adapters import nats
from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import api, naming
from eventproof.adapters.nats.link import Link, open_link
from eventproof.adapters.nats.options import Options
from eventproof.adapters.nats.provision import PARTITIONS
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Broker, Receipt, Subscription
from eventproof.conformance.targets.nats import NatsTarget
from eventproof.schemas.event import Event
from tests.misconfigured.around import Around

PREFIX = "eventproof"
AWAY = {"pending": 1, "in_flight": 0, "last": 0}  # what is told of a group that is not there: it is not idle
Result = TypeVar("Result")


async def create(link: Link, topic: str) -> None:
    """A topic of one partition, or nothing if it is there."""
    stream = naming.stream(PREFIX, topic)
    config = {
        "name": stream,
        "subjects": [f"{naming.root(PREFIX, topic)}.>"],
        "subject_transform": naming.transform(PREFIX, topic, 1),
        "storage": "memory",
        "metadata": {PARTITIONS: "1"},
    }
    await api.call(link, f"STREAM.CREATE.{stream}", api.StreamInfo, config)


class MemoryStorage(Around):
    def __init__(self, broker: Broker, link: Link) -> None:
        super().__init__(broker)
        self._link = link

    async def publish(self, topic: str, event: Event) -> Receipt:
        return await self._with(topic, lambda: self.broker.publish(topic, event))

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Subscription]:
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            yield await self._with(
                topic, lambda: enter(self.broker.subscribe(topic, group=group, policy=policy))
            )

    async def _with(self, topic: str, act: Callable[[], Awaitable[Result]]) -> Result:
        """Do it, and if there is no such topic, once more with one."""
        try:
            return await act()
        except Rejected as refused:
            if refused.kind != "no-topic":
                raise
        await create(self._link, topic)
        return await act()


class Target(NatsTarget):
    async def provision(self, topic: str, *, partitions: int, window: float | None) -> None:
        await create(self._link, topic)

    async def idle(self, topic: str, group: str) -> Mapping[str, int]:
        try:
            return await super().idle(topic, group)
        except Rejected:
            return AWAY

    async def positions(self, topic: str, group: str) -> Mapping[int, str]:
        try:
            return await super().positions(topic, group)
        except Rejected:
            return {}


target = Target()


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[MemoryStorage]:
    async with nats.connect(url, **options) as broker, open_link(url, Options()) as link:
        yield MemoryStorage(broker, link)
