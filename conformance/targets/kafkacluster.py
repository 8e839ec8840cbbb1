"""Three nodes of Apache Kafka of our own, of which one may be lost."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from eventproof.conformance.targets import serverfolder
from eventproof.conformance.targets.javaruntime import find_java
from eventproof.conformance.targets.kafkaarchive import find_archive
from eventproof.conformance.targets.kafkaconfig import Node
from eventproof.conformance.targets.kafkajars import find_jars
from eventproof.conformance.targets.kafkaserver import KafkaServer, Place, new_cluster
from eventproof.conformance.targets.ports import HOST, Port

NODES: Final = 3
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class KafkaCluster:
    """Nodes that keep three copies of each partition and confirm what two of them hold.

    nodes: each is a server of its own, to be killed, revived, frozen, thawed and restarted by itself.
    folder, max_payload, settings: as for KafkaServer.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        max_payload: int | None = None,
        settings: Mapping[str, str] = _NONE,
    ) -> None:
        find_archive(find_java(), find_jars())  # what can be missing is missed before anything is made
        self._ports = [(Port(), Port()) for _ in range(NODES)]
        self._kept = folder is not None
        self._folder = folder or serverfolder.temporary("eventproof-kafka-", serverfolder.roomiest())
        members = [Node(number, *(one.number for one in pair)) for number, pair in enumerate(self._ports, 1)]
        cluster = new_cluster()
        self.nodes: Sequence[KafkaServer] = [
            KafkaServer(
                folder=self._folder / f"node-{node.number}",
                max_payload=max_payload,
                settings=settings,
                place=Place(node, tuple(members), cluster),
            )
            for node in members
        ]

    @property
    def url(self) -> str:
        """Any node of these tells of the others."""
        return "kafka://" + ",".join(f"{HOST}:{pair[0].number}" for pair in self._ports)

    async def start(self) -> None:
        """Start all nodes and wait until each can be used. Raises ServerFailed."""
        await _all(node.start() for node in self.nodes)

    async def stop(self) -> None:
        """End all nodes in order."""
        await _all(node.stop() for node in self.nodes)

    async def settled(self) -> None:
        """Wait until each node knows that all take part and have caught up: after a fault another node may be
        lost. A node that stood still answers by what it knew, also as a former leader, until it learns more.
        """
        await _all(node.settled() for node in self.nodes)

    async def ended(self) -> None:
        """Wait until one of the nodes ends, by itself or by `stop`; then raise ServerFailed or return."""
        waits = [asyncio.ensure_future(node.ended()) for node in self.nodes]
        done, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in others:
            wait.cancel()
        for wait in done:
            wait.result()

    async def remove(self) -> None:
        """Stop, and delete the data unless the folder was given; the ports are free again."""
        await _all(node.remove() for node in self.nodes)
        if not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)
        for pair in self._ports:
            for port in pair:
                port.release()


async def _all(acts: Iterable[Awaitable[None]]) -> None:
    """Do all of it at once; raise what the first raised when nothing goes on any more."""
    for outcome in await asyncio.gather(*acts, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
