"""An Apache Kafka of our own, on free ports of the loopback interface, that never outlives this process."""

from __future__ import annotations

import asyncio
import base64
import re
import struct
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final
from uuid import uuid4

import msgspec

from eventproof.conformance.processes import die_with_parent
from eventproof.conformance.targets import kafkaarchive, kafkaconfig
from eventproof.conformance.targets.javaruntime import find_java
from eventproof.conformance.targets.kafkaconfig import Node
from eventproof.conformance.targets.kafkajars import find_jars
from eventproof.conformance.targets.kafkaprobe import NotYet, usable
from eventproof.conformance.targets.ownserver import OwnServer, ServerFailed
from eventproof.conformance.targets.ports import HOST, Port

_POLL: Final = 0.02
_ANSWER: Final = 2.0  # seconds within which a server that can be used has answered everything
_TERMINATED: Final = 143  # how Java ends after SIGTERM, in order
_ERROR: Final = re.compile(r" (ERROR|FATAL) ")
_NOISE: Final = re.compile(r"WARNING: |\[[\d.]+s\]|\s+at ")  # of Java itself; where in Kafka
_TOLD: Final = 600  # characters
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Place(msgspec.Struct, frozen=True):
    """Which node of which cluster a server is."""

    node: Node
    nodes: tuple[Node, ...]
    cluster: str


class KafkaServer(OwnServer):
    """One node, broker and controller.

    port: -1 for any free one. folder: where the data stays; None for a temporary one, removed in the end.
    max_payload: bytes of the largest batch of records, a single record with all that is around it; None for
    Kafka's own limit. settings: more of server.properties, which win.
    secured: SSL, SASL_PLAINTEXT or SASL_SSL, which clients speak at `secured_port`; the rest of it is for the
    settings to say, as `listener.name.secured. ...`.
    place: of a node of a cluster, whose ports are somebody else's to keep. record: where an archive is
    written when it ends (kafkaarchive.py).

    Making one fetches Kafka if need be, and prepares it, which blocks; then it raises MissingServer.
    """

    kind: ClassVar[str] = "kafka"
    program: ClassVar[str] = "Apache Kafka"
    within: ClassVar[float] = 60.0
    in_order: ClassVar[Sequence[int]] = (0, _TERMINATED)

    def __init__(
        self,
        *,
        port: int = -1,
        folder: Path | None = None,
        max_payload: int | None = None,
        settings: Mapping[str, str] = _NONE,
        secured: str | None = None,
        place: Place | None = None,
        record: Path | None = None,
    ) -> None:
        self._java = find_java()
        self._jars = find_jars()
        self._archive = kafkaarchive.find_archive(self._java, self._jars) if record is None else None
        self._record = record
        numbers = () if place is not None else (port, -1) if secured is None else (port, -1, -1)
        self._ports = [Port(number) for number in numbers]
        self._place = place or alone(*(port.number for port in self._ports))
        self._secured = secured or "PLAINTEXT"
        self._settings = dict(settings)
        if max_payload is not None:
            self._settings["message.max.bytes"] = str(max_payload)
        super().__init__(folder)

    @property
    def url(self) -> str:
        return f"kafka://{HOST}:{self._place.node.port}"

    @property
    def secured_port(self) -> int:
        port = self._place.node.secured
        assert port is not None, "only with `secured`"
        return port

    async def remove(self) -> None:
        """As every server of our own; its ports are free again."""
        await super().remove()
        for port in self._ports:
            port.release()

    async def settled(self) -> None:
        """Wait until all nodes of its cluster take part and have caught up, as far as this one knows. Raises
        ServerFailed if it has ended."""
        if self._process is not None:
            await self._until_usable(self._process, {node.number for node in self._place.nodes})

    async def _prepare(self) -> Sequence[str | Path]:
        node, nodes = self._place.node, self._place.nodes
        config = self._folder / "server.properties"
        config.write_text(kafkaconfig.properties(node, nodes, self._folder, self._settings, self._secured))
        (self._folder / "log4j2.properties").write_text(kafkaconfig.logging())
        known = kafkaarchive.use(self._archive) if self._archive is not None else ()
        if not (self._folder / "data" / "meta.properties").is_file():
            words = ("kafka.tools.StorageTool", "format", "-t", self._place.cluster, "-c", config)
            await self._format(self._command(*known, *words))
        learnt = kafkaarchive.write(self._record) if self._record is not None else ()
        return self._command(*known, *learnt, "kafka.Kafka", config)

    def _command(self, *words: str | Path) -> Sequence[str | Path]:
        return kafkaconfig.command(self._java.program, self._jars, self._folder, *words)

    async def _format(self, command: Sequence[str | Path]) -> None:
        """Make a new server's storage: without an explicit call Kafka takes it for lost."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        try:
            told, _ = await process.communicate()
        finally:
            if process.returncode is None:  # cancelled: nothing may write to the folder any more
                process.kill()
                await process.wait()
        if process.returncode:
            raise ServerFailed(f"{self.program} has no storage: {reason(told.decode(errors='replace'))}")

    async def _ready(self, process: subprocess.Popen[bytes]) -> None:
        await self._until_usable(process, {self._place.node.number})

    async def _until_usable(self, process: subprocess.Popen[bytes], nodes: Collection[int]) -> None:
        port, coordinators = self._place.node.port, kafkaconfig.coordinators(len(self._place.nodes))
        while True:
            self._alive(process)
            try:
                await asyncio.wait_for(usable(port, nodes, coordinators), _ANSWER)
            except (NotYet, OSError, EOFError, struct.error, asyncio.TimeoutError):
                await asyncio.sleep(_POLL)
            else:
                return

    def _log(self) -> str:
        log = self._folder / "server.out"
        said = log.read_bytes()[self._begin :] if log.is_file() else b""
        return reason(said.decode(errors="replace"))


def alone(port: int, controller: int, secured: int | None = None) -> Place:
    """A cluster of one node."""
    node = Node(1, port, controller, secured)
    return Place(node, (node,), new_cluster())


def new_cluster() -> str:
    """The id of a new cluster, in Kafka's way of writing."""
    return base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=").replace("-", "A")


def reason(log: str) -> str:
    """What ended a server, by its log, on one line: the first fatal error, or else the last one, with the
    exception that belongs to it."""
    lines = [line.strip() for line in log.splitlines() if line.strip() and not _NOISE.match(line)]
    errors = [at for at, line in enumerate(lines) if _ERROR.search(line)]
    fatal = [at for at in errors if "fatal" in lines[at].lower()]
    told = next((lines[at : at + 2] for at in (*fatal[:1], *errors[-1:])), lines[-1:])
    return "; ".join(told)[:_TOLD] or "it said nothing"
