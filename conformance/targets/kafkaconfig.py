"""How a Kafka of our own is configured: small, quick to start, and as careful with data as any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from eventproof.conformance.targets.ports import HOST

HEAP: Final = "256m"
_FLAGS: Final = (
    "-Xms64m",
    f"-Xmx{HEAP}",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a run is too short for the thorough compiler to pay
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
)
_SETTINGS: Final = {
    "socket.listen.backlog.size": "1024",  # hundreds of clients may connect at once
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    # A node that comes back after SIGKILL has to wait for the end of its former life's session.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "200",
    # Small: memory that would be set aside for it is a multiple of all that is stored.
    "log.index.size.max.bytes": str(1 << 18),
    "log.cleaner.dedupe.buffer.size": str(2 << 20),
    # What a removed topic held goes at once.
    "log.segment.delete.delay.ms": "1000",
}
_LOGGING: Final = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{{ISO8601}} %p %c{{1}}: %m%n
rootLogger.level = {level}
rootLogger.appenderRef.out.ref = out
"""


class Node(msgspec.Struct, frozen=True):
    """Broker and controller. port: for clients and other nodes; controller: for nodes; secured: for clients
    that speak another protocol than plain text, if any."""

    number: int
    port: int
    controller: int
    secured: int | None = None


def coordinators(nodes: int) -> int:
    """How many partitions share out the groups, and the transactions: a leader for each node."""
    return nodes


def properties(
    node: Node, nodes: Sequence[Node], folder: Path, more: Mapping[str, str], protocol: str = "PLAINTEXT"
) -> str:
    """The text of server.properties; more: settings that come last; protocol: of the secured port."""
    copies, needed = str(len(nodes)), str(len(nodes) // 2 + 1)
    clients = [f"PLAINTEXT://{HOST}:{node.port}"]
    if node.secured is not None:
        clients.append(f"SECURED://{HOST}:{node.secured}")
    ours = {
        "node.id": str(node.number),
        "listeners": ",".join((*clients, f"CONTROLLER://{HOST}:{node.controller}")),
        "advertised.listeners": ",".join(clients),
        "listener.security.protocol.map": f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:{protocol}",
        "controller.quorum.voters": ",".join(f"{n.number}@{HOST}:{n.controller}" for n in nodes),
        "log.dirs": str(folder / "data"),
        "default.replication.factor": copies,
        "min.insync.replicas": needed,
        "offsets.topic.num.partitions": str(coordinators(len(nodes))),
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": str(coordinators(len(nodes))),
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": needed,
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": needed,
    }
    return "".join(f"{name}={value}\n" for name, value in {**_SETTINGS, **ours, **more}.items())


def logging(level: str = "WARN") -> str:
    """What the server tells of itself, on its standard output."""
    return _LOGGING.format(level=level)


def command(java: Path, jars: Sequence[Path], folder: Path, *words: str | Path) -> Sequence[str | Path]:
    """The command line of Java for one of Kafka's programs; words: more flags, the program, its arguments.

    What it unpacks goes to the folder too.
    """
    paths = (f"-Djava.io.tmpdir={folder}", f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}")
    return [java, *_FLAGS, *paths, "-cp", ":".join(map(str, jars)), *words]
