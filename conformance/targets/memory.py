"""The memory broker as a target, on a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any, ClassVar
from uuid import uuid4

from eventproof.adapters import memory
from eventproof.adapters.memory import Engine, MemoryBroker, engine_at
from eventproof.adapters.port import Broker
from eventproof.conformance.events import call_of
from eventproof.conformance.history.record import LogEntry
from eventproof.conformance.targets.target import Clock

__all__ = ["connect", "target"]

SMALL_LIMIT = 16_384  # bytes of an event: what is larger has to be made for each scenario that has it


def connect(url: str, **options: Any) -> AbstractAsyncContextManager[Broker]:
    """A memory broker, by default with a payload limit that is cheap to exceed."""
    return memory.connect(url, **{"max_payload": SMALL_LIMIT, **options})


class MemoryTarget:
    """`eventproof.conformance.targets.target.Target` for the broker in this process."""

    clock: Clock = "virtual"
    tick: ClassVar[float] = 10.0
    max_payload: int | None = None
    options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self) -> None:
        self._url = ""

    @asynccontextmanager
    async def start(self, url: str | None) -> AsyncIterator[str]:
        """Nothing to bring up: the broker is there while somebody is connected."""
        self._url = url or f"memory://{uuid4()}"
        yield self._url

    @property
    def _engine(self) -> Engine:
        return engine_at(self._url)

    async def provision(self, topic: str, *, partitions: int, window: float | None) -> None:
        self._engine.provision(topic, partitions=partitions, window=window)

    async def remove(self, topics: Sequence[str]) -> None:
        for topic in topics:
            self._engine.remove(topic)

    async def idle(self, topic: str, group: str) -> Mapping[str, int]:
        return self._engine.counters(self._engine.topic(topic).groups[group])

    async def read_log(self, topic: str) -> Sequence[LogEntry]:
        return [LogEntry(call_of(c.event), c.position, c.partition) for c in self._engine.topic(topic).log]

    async def positions(self, topic: str, group: str) -> Mapping[int, str]:
        return self._engine.positions(self._engine.topic(topic).groups[group])

    def kill(self) -> None:
        self._engine.kill()

    async def revive(self) -> None:
        self._engine.revive()

    async def restart(self) -> None:
        self._engine.stop()
        self._engine.revive()

    def freeze(self) -> None:
        self._engine.freeze()

    def thaw(self) -> None:
        self._engine.thaw()

    def sever(self, broker: Broker) -> None:
        assert isinstance(broker, MemoryBroker), "a connection of this target"
        broker.sever()

    def versions(self) -> Mapping[str, str]:
        return {"eventproof": version("eventproof")}


target = MemoryTarget()
