"""A NATS server that is not the suite's: with streams, consumers and messages that nobody may touch."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client

from eventproof.conformance.targets.natsserver import NatsServer

API = "$JS.API."
STREAMS = {"ORDERS": "orders.>", "eventproof~orders": "eventproof.orders.>", "eventproof-else~t": "else.>"}
COMMAND = (sys.executable, "-c", "from eventproof.conformance.cli import main; main()")


class Somebodys:
    """A running server; `admin` may do everything on it."""

    def __init__(self, server: NatsServer, admin: Client) -> None:
        self.server = server
        self.url = server.url
        self.admin = admin

    async def ask(self, subject: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        payload = b"" if body is None else json.dumps(body).encode()
        return json.loads((await self.admin.request(API + subject, payload)).data)

    async def populate(self) -> None:
        js = self.admin.jetstream()
        for name, subjects in STREAMS.items():
            await js.add_stream(name=name, subjects=[subjects])
            for number in range(5):
                await js.publish(subjects.replace(">", "new"), str(number).encode())
        reader = await js.pull_subscribe("orders.>", durable="billing")
        for message in await reader.fetch(3):
            await message.ack_sync()
        await reader.unsubscribe()

    async def streams(self) -> list[str]:
        return (await self.ask("STREAM.NAMES"))["streams"] or []

    async def snapshot(self) -> dict[str, Any]:
        """The full information on every stream and consumer there is."""
        found: dict[str, Any] = {}
        for name in await self.streams():
            info = await self.ask(f"STREAM.INFO.{name}", {"subjects_filter": ">"})
            consumers = (await self.ask(f"CONSUMER.LIST.{name}"))["consumers"]
            for one in (info, *consumers):
                one.pop("ts", None)
            found[name] = [info, consumers]
        return found

    @asynccontextmanager
    async def creations(self) -> AsyncIterator[Any]:
        """Gives a function that waits until so many more streams were made."""
        seen = await self.admin.subscribe("$JS.EVENT.ADVISORY.STREAM.CREATED.>")
        await self.admin.flush()

        async def wait(number: int) -> None:
            for _ in range(number):
                await seen.next_msg(timeout=20)

        yield wait
        await seen.unsubscribe()


@asynccontextmanager
async def somebodys(
    kind: type[NatsServer] = NatsServer, user: str = "", *, populated: bool = True
) -> AsyncIterator[Somebodys]:
    """A server; user: `name:password@` of who may do everything."""
    server = kind()
    try:
        await server.start()
        admin = await nats.connect(server.url.replace("://", f"://{user}"), allow_reconnect=False)
        try:
            theirs = Somebodys(server, admin)
            if populated:
                await theirs.populate()
            yield theirs
        finally:
            await admin.close()
    finally:
        await server.remove()


class Called:
    """A command line as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = self.err = ""

    async def ended(self) -> int:
        out, err = await self.process.communicate()
        self.out, self.err = out.decode(), err.decode()
        assert "Traceback" not in self.err, self.err
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def called(folder: Path, *words: object, env: Mapping[str, str] | None = None) -> AsyncIterator[Called]:
    """Start the command in a folder; it is killed if it still runs in the end."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *map(str, words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=folder, env=env,
    )  # fmt: skip
    try:
        yield Called(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def eventproof(
    folder: Path, *words: object, env: Mapping[str, str] | None = None
) -> tuple[int, Called]:
    async with called(folder, *words, env=env) as command:
        return await command.ended(), command
