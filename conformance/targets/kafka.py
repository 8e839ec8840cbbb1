"""Apache Kafka as a target of the suite: a broker of its own, or one that is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from aiokafka import ConsumerRecord, TopicPartition

from eventproof.adapters.errors import Unsupported
from eventproof.adapters.kafka import closing, connect, naming, questions
from eventproof.adapters.kafka.content import decode
from eventproof.adapters.kafka.link import Link, open_link
from eventproof.adapters.kafka.options import Options
from eventproof.adapters.kafka.progress import Progress
from eventproof.adapters.kafka.progress import decode as told_by
from eventproof.adapters.kafka.provision import create, delete
from eventproof.adapters.kafka.publish import largest_batch, max_event
from eventproof.conformance.events import call_of
from eventproof.conformance.history.record import LogEntry
from eventproof.conformance.targets.kafkajars import VERSION
from eventproof.conformance.targets.kafkaserver import KafkaServer
from eventproof.conformance.targets.target import Clock
from eventproof.schemas.errors import InvalidEvent

__all__ = ["KafkaTarget", "connect", "target"]

OWN: Final = Options(name="eventproof target", deadline=30.0)
TICK: Final = 0.25
SESSION: Final = 2.0  # a member that says nothing for so long is taken for gone
MAX_PAYLOAD: Final = 65536


class KafkaTarget:
    """`eventproof.conformance.targets.target.Target` over one connection for administration.

    server: ours while `start` runs without an URL, None otherwise.
    """

    clock: Clock = "real"
    tick: float = TICK

    def __init__(self) -> None:
        self.server: KafkaServer | None = None
        self.max_payload: int | None = None
        self.options: Mapping[str, Any] = {"session_timeout": SESSION}
        self._admin: Link | None = None

    @asynccontextmanager
    async def start(self, url: str | None) -> AsyncIterator[str]:
        """Raises MissingServer, ServerFailed, Unreachable."""
        if url is not None:
            async with self._attached(url):
                yield url
            return
        self.server = KafkaServer(max_payload=MAX_PAYLOAD)
        try:
            await self.server.start()
            async with self._attached(self.server.url):
                yield self.server.url
        finally:
            server, self.server = self.server, None
            await server.remove()

    async def provision(self, topic: str, *, partitions: int, window: float | None) -> None:  # noqa: ARG002
        """window: of publish deduplication, which Kafka does not have."""
        await create(self._link, topic, partitions=partitions)

    async def remove(self, topics: Sequence[str]) -> None:
        await asyncio.gather(*(delete(self._link, topic) for topic in topics))

    async def idle(self, topic: str, group: str) -> Mapping[str, int]:
        """Raises Rejected (`no-topic`), Indeterminate."""
        name = naming.topic(self._link.prefix, topic)
        states = await self._states(topic, group)
        ends = await questions.offsets(self._link, name)
        left = {number: state.offset for number, state in states.items() if state.offset < ends[number]}
        behind = await self._read(name, left, ends) if left else []
        return {
            "pending": sum(not _known(states[record.partition], record.offset) for record in behind),
            "in_flight": sum(len(state.touched) for state in states.values()),
            "last": sum(ends.values()),
        }

    async def read_log(self, topic: str) -> Sequence[LogEntry]:
        name = naming.topic(self._link.prefix, topic)
        starts = await questions.offsets(self._link, name, questions.EARLIEST)
        ends = await questions.offsets(self._link, name)
        return [_entry(record) for record in await self._read(name, starts, ends)]

    async def positions(self, topic: str, group: str) -> Mapping[int, str]:
        states = await self._states(topic, group)
        return {partition: str(state.offset - 1) for partition, state in states.items()}

    async def restart(self) -> None:
        """Raises Unsupported for a server that is not ours."""
        await self._own.restart()
        await self._back()

    def kill(self) -> None:
        """Raises Unsupported for a server that is not ours."""
        self._own.kill()

    async def revive(self) -> None:
        await self._own.revive()
        await self._back()

    def freeze(self) -> None:
        """Raises Unsupported for a server that is not ours."""
        self._own.freeze()

    def thaw(self) -> None:
        self._own.thaw()

    def versions(self) -> Mapping[str, str]:
        found = {"aiokafka": version("aiokafka")}
        return found if self.server is None else {"kafka": VERSION, **found}

    @property
    def _own(self) -> KafkaServer:
        if self.server is None:
            raise Unsupported("faults befall only a server that the suite started")
        return self.server

    @property
    def _link(self) -> Link:
        assert self._admin is not None, "the target is used inside `start`"
        return self._admin

    @asynccontextmanager
    async def _attached(self, url: str) -> AsyncIterator[Link]:
        async with open_link(url, OWN) as link:
            self._admin, self.max_payload = link, max_event(await largest_batch(link))
            try:
                yield link
            finally:
                self._admin, self.max_payload = None, None

    async def _back(self) -> None:
        """Wait until the connection for administration is back."""
        await self._link.answered("waiting for the broker", self._link.client.fetch_all_metadata)

    async def _states(self, topic: str, group: str) -> Mapping[int, Progress]:
        name, group_id = naming.topic(self._link.prefix, topic), naming.group(self._link.prefix, topic, group)
        found = await questions.committed(self._link, group_id, name)
        return {partition: told_by(*committed) for partition, committed in found.items()}

    async def _read(
        self, name: str, starts: Mapping[int, int], ends: Mapping[int, int]
    ) -> Sequence[ConsumerRecord[bytes, bytes]]:
        """The committed records of each partition from its start up to its end. Raises Indeterminate."""
        return await self._link.within_deadline(f"reading {name}", self._records(name, starts, ends))

    async def _records(
        self, name: str, starts: Mapping[int, int], ends: Mapping[int, int]
    ) -> Sequence[ConsumerRecord[bytes, bytes]]:
        places = {TopicPartition(name, partition): start for partition, start in starts.items()}
        reader = self._link.consumer(None)
        found: list[ConsumerRecord[bytes, bytes]] = []
        await reader.start()
        try:
            reader.assign(list(places))
            for place, start in places.items():
                reader.seek(place, start)
            while [place for place in places if await reader.position(place) < ends[place.partition]]:
                batches = await reader.getmany(timeout_ms=100)
                found += [record for batch in batches.values() for record in batch]
        finally:
            await closing.stop(reader)
        return found


def _known(state: Progress, offset: int) -> bool:
    """Whether the record is settled, or was handed out."""
    return offset in state.touched or any(start <= offset < end for start, end in state.settled)


def _entry(record: ConsumerRecord[bytes, bytes]) -> LogEntry:
    return LogEntry(call=_call(record), position=str(record.offset), partition=record.partition)


def _call(record: ConsumerRecord[bytes, bytes]) -> int:
    """The number of the publish call, 0 for what is not the suite's."""
    try:
        return call_of(decode(record.headers, record.value))
    except InvalidEvent:
        return 0


target = KafkaTarget()
