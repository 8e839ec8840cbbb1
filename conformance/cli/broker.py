"""`eventproof broker start`: a broker in the foreground, to develop with."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

import click

from eventproof.conformance.cli.main import CONFORMANT
from eventproof.conformance.targets.kafkacluster import KafkaCluster
from eventproof.conformance.targets.kafkaserver import KafkaServer
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.conformance.targets.ownserver import OwnServer

KINDS: Mapping[str, type[NatsServer | KafkaServer]] = {"nats": NatsServer, "kafka": KafkaServer}
PORT = "Of the loopback interface; any free one if not given."
FOLDER = "Keep the data here; without it nothing is left."
MAX_PAYLOAD = "Bytes of the largest message with its headers."
NODES = "Of Kafka: 3 keep each event on three nodes, of which one may be lost."


@click.group(name="broker")
def command() -> None:
    """Brokers to develop with, on the loopback interface only."""


@command.command()
@click.argument("name", type=click.Choice(list(KINDS)), metavar="|".join(KINDS))
@click.option("--port", type=click.IntRange(1, 65535), help=PORT)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help=FOLDER)
@click.option(
    "--max-payload", type=click.IntRange(1024, 64 << 20), default=1 << 20, show_default=True, help=MAX_PAYLOAD
)
@click.option("--nodes", type=click.Choice(["1", "3"]), default="1", show_default=True, help=NODES)
def start(name: str, port: int | None, folder: Path | None, max_payload: int, nodes: str) -> int:
    """Start NATS with JetStream, or Apache Kafka; print its URL, and stop it on Ctrl-C or SIGTERM."""
    server: OwnServer | KafkaCluster
    if nodes == "1":
        server = KINDS[name](port=port or -1, folder=folder, max_payload=max_payload)
    elif name == "kafka" and port is None:
        server = KafkaCluster(folder=folder, max_payload=max_payload)
    else:
        raise click.UsageError("--nodes 3 is for kafka, on free ports")
    asyncio.run(_serve(server))
    return CONFORMANT


async def _serve(server: OwnServer | KafkaCluster) -> None:
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    for stopping in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stopping, asked.set)
    try:
        await server.start()
        click.echo(server.url)
        waits = [asyncio.ensure_future(asked.wait()), asyncio.ensure_future(server.ended())]
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in done:
            wait.result()
    finally:
        await server.remove()
