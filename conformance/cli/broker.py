"""`eventproof broker start`: a broker in the foreground, to develop with."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from eventproof.conformance.cli.main import CONFORMANT
from eventproof.conformance.targets.natsserver import NatsServer

BYTES = click.IntRange(1 << 14, 64 << 20)
PORT = "Of the loopback interface; any free one if not given."
FOLDER = "Keep the data here; without it nothing is left."
MAX_PAYLOAD = "Bytes of the largest message with its headers."


@click.group(name="broker")
def command() -> None:
    """Brokers to develop with, on the loopback interface only."""


@command.command()
@click.argument("name", type=click.Choice(["nats"]), metavar="nats")
@click.option("--port", type=click.IntRange(1, 65535), help=PORT)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help=FOLDER)
@click.option(
    "--max-payload", type=click.IntRange(1024, 64 << 20), default=1 << 20, show_default=True, help=MAX_PAYLOAD
)
def start(name: str, port: int | None, folder: Path | None, max_payload: int) -> int:  # noqa: ARG001 - one as yet
    """Start a NATS server with JetStream; print its URL, and stop it on Ctrl-C or SIGTERM."""
    asyncio.run(_serve(NatsServer(port=port or -1, folder=folder, max_payload=max_payload)))
    return CONFORMANT


async def _serve(server: NatsServer) -> None:
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
