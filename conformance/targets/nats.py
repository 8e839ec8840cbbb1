"""NATS JetStream as a target of the suite: a server of its own, or one that is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from eventproof.adapters.errors import Unreachable, Unsupported
from eventproof.adapters.nats import api, connect, naming
from eventproof.adapters.nats.link import Link, open_link, translated
from eventproof.adapters.nats.options import Options
from eventproof.adapters.nats.options import options as parse
from eventproof.adapters.nats.permissions import ROLES, Role, permissions
from eventproof.adapters.nats.provision import create, delete, find
from eventproof.adapters.nats.publish import max_event
from eventproof.conformance.events import call_of
from eventproof.conformance.history.record import LogEntry
from eventproof.conformance.targets import natspreflight, natsvisit
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.conformance.targets.target import Clock
from eventproof.conformance.targets.visit import Demand, Terms, Visit
from eventproof.schemas import binary
from eventproof.schemas.errors import InvalidEvent

__all__ = ["ROLES", "NatsTarget", "Role", "connect", "permissions", "target"]

BATCH: Final = 500
OWN: Final = Options(name="eventproof target")
READER_IDLE: Final = 10.0  # seconds after which the server forgets a reader
TICK: Final = 0.25
EXPIRY: Final = 3600.0  # seconds after which events and groups on somebody's server are gone by themselves
EXPIRY_TICKS: Final = 1000  # but never while a scenario may still need them


class NatsTarget:
    """`eventproof.conformance.targets.target.Target` over one connection for administration.

    server: ours while `start` runs without an URL, None otherwise.
    """

    clock: Clock = "real"

    def __init__(self) -> None:
        self.server: NatsServer | None = None
        self.tick = TICK
        self.max_payload: int | None = None
        self.options: Mapping[str, Any] = {}
        self._admin: Link | None = None
        self._retention: float | None = None

    @asynccontextmanager
    async def start(self, url: str | None) -> AsyncIterator[str]:
        """Raises MissingServer, ServerFailed, Unreachable."""
        if url is not None:
            async with self._attached(url, OWN):
                yield url
            return
        self.server = NatsServer()
        try:
            await self.server.start()
            async with self._attached(self.server.url, OWN):
                yield self.server.url
        finally:
            server, self.server = self.server, None
            await server.remove()

    @asynccontextmanager
    async def visit(self, visit: Visit) -> AsyncIterator[str]:
        """Raises Unreachable, InvalidOption, NotReady."""
        options = parse({"name": "eventproof target", **natsvisit.options(visit)})
        async with self._attached(visit.url, options) as link:
            self.tick = await natsvisit.tick(TICK, lambda: api.check_jetstream(link))
            self._retention = max(EXPIRY, EXPIRY_TICKS * self.tick)
            self.options = {"forget_groups_after": self._retention, **natsvisit.options(visit)}
            try:
                yield visit.url
            finally:
                self.tick, self._retention, self.options = TICK, None, {}

    async def preflight(self, visit: Visit, demand: Demand) -> Terms:
        """Raises NotReady."""
        inbox, expiry = self.options["inbox"], self._retention or EXPIRY
        return await natspreflight.preflight(self._link, visit, demand, inbox, expiry)

    async def present(self) -> Sequence[str]:
        start = f"{self._link.prefix}~"
        found = await natspreflight.overlapping(self._link)
        return [name.removeprefix(start) for name in found if name.startswith(start)]

    async def provision(self, topic: str, *, partitions: int, window: float | None) -> None:
        await create(self._link, topic, partitions=partitions, window=window, retention=self._retention)

    async def remove(self, topics: Sequence[str]) -> None:
        await asyncio.gather(*(delete(self._link, topic) for topic in topics))

    async def idle(self, topic: str, group: str) -> Mapping[str, int]:
        """Raises Rejected (`no-topic`, `no-group`)."""
        infos = await self._consumers(topic, group)
        stream = await api.stream_info(self._link, naming.stream(self._link.prefix, topic))
        return {
            "pending": sum(info.num_pending for info in infos),
            "in_flight": sum(info.num_ack_pending for info in infos),
            "last": stream.state.last_seq,
        }

    async def read_log(self, topic: str) -> Sequence[LogEntry]:
        stream = naming.stream(self._link.prefix, topic)
        stored = (await api.stream_info(self._link, stream)).state.messages
        with translated(f"reading {stream}"):
            return [_entry(message) for message in await _read(self._link.client.jetstream(), stream, stored)]

    async def positions(self, topic: str, group: str) -> Mapping[int, str]:
        infos = await self._consumers(topic, group)
        return {partition: str(info.ack_floor.stream_seq) for partition, info in enumerate(infos)}

    async def restart(self) -> None:
        """Raises Unsupported for a server that is not ours."""
        async with self._back():
            await self._own.restart()

    def kill(self) -> None:
        """Raises Unsupported for a server that is not ours."""
        self._own.kill()

    async def revive(self) -> None:
        async with self._back():
            await self._own.revive()

    def freeze(self) -> None:
        """Raises Unsupported for a server that is not ours."""
        self._own.freeze()

    def thaw(self) -> None:
        self._own.thaw()

    @property
    def _own(self) -> NatsServer:
        if self.server is None:
            raise Unsupported("faults befall only a server that the suite started")
        return self.server

    @asynccontextmanager
    async def _back(self) -> AsyncIterator[None]:
        """Wait in the end until the connection for administration is back; it may have noticed nothing."""
        back, link = asyncio.Event(), self._link
        link.on_reconnect.add(back.set)
        try:
            yield
            await back.wait()
        finally:
            link.on_reconnect.discard(back.set)

    def versions(self) -> Mapping[str, str]:
        server = str(self._link.client.connected_server_version).strip("<>")
        return {"nats-server": server.rpartition(" v")[2], "nats-py": version("nats-py")}

    @property
    def _link(self) -> Link:
        assert self._admin is not None, "the target is used inside `start`"
        return self._admin

    @asynccontextmanager
    async def _attached(self, url: str, options: Options) -> AsyncIterator[Link]:
        async with open_link(url, options) as link:
            try:
                await api.check_jetstream(link)
            except Unreachable as problem:
                raise natspreflight.explained(problem, link, "$JS.API.INFO", options.inbox) from problem
            self._admin, self.max_payload = link, max_event(link)
            try:
                yield link
            finally:
                self._admin, self.max_payload = None, None

    async def _consumers(self, topic: str, group: str) -> list[api.ConsumerInfo]:
        found = await find(self._link, topic)
        durables = [naming.durable(group, partition) for partition in range(found.partitions)]
        return await api.all_consumers(self._link, found.stream, durables)


async def _read(js: JetStreamContext, stream: str, stored: int) -> list[Msg]:
    """The first `stored` messages of a stream."""
    if not stored:
        return []
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, mem_storage=True, inactive_threshold=READER_IDLE)
    reader = await js.pull_subscribe(">", stream=stream, config=config)
    messages: list[Msg] = []
    while len(messages) < stored:
        messages += await reader.fetch(min(BATCH, stored - len(messages)))
    await reader.unsubscribe()
    return messages


def _entry(message: Msg) -> LogEntry:
    """Stored subjects are `<prefix>.<topic>.<partition>.<key>.<type...>`."""
    return LogEntry(
        call=_call(message),
        position=str(message.metadata.sequence.stream),
        partition=int(message.subject.split(".")[2]),
    )


def _call(message: Msg) -> int:
    """The number of the publish call, 0 for what is not the suite's."""
    try:
        return call_of(binary.read((message.headers or {}).items(), message.data, binary.NATS))
    except InvalidEvent:
        return 0


target = NatsTarget()
