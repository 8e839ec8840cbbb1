"""What the tests of the driver protocol start, and how they ask it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from eventproof.conformance.driver.process import Process, open_process
from eventproof.schemas.event import Event

HERE = Path(__file__).parent
SERVED = (sys.executable, "-m", "eventproof.conformance.driver")
LIAR = (sys.executable, "-I", "-S", str(HERE / "liar.py"))
PRINTS = f"{HERE / 'prints.py'}:connect"
EVENT = Event(source="/tests", type="shop.order.created", id="1", data={"total": 3})
WITHIN = 10.0


def liar(*words: object) -> tuple[str, ...]:
    return (*LIAR, *map(str, words))


@asynccontextmanager
async def connected(command: tuple[str, ...], url: str = "memory://", **options: Any) -> AsyncIterator[Any]:
    """A process and a connection of it."""
    async with open_process(command) as process, process.connect(url, **options) as broker:
        yield process, broker


async def settled(work: Any) -> Any:
    """What became of it: the value, or the exception."""
    return (await asyncio.gather(asyncio.wait_for(work, WITHIN), return_exceptions=True))[0]


def gone(process: Process) -> bool:
    return not Path(f"/proc/{process.pid}").exists()


class Raw:
    """A driver process whose lines a test writes and reads by itself."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def write(self, text: bytes) -> None:
        self.process.stdin.write(text)

    def ask(self, **request: Any) -> None:
        self.write(json.dumps(request).encode() + b"\n")

    async def line(self) -> dict[str, Any]:
        return json.loads(await asyncio.wait_for(self.process.stdout.readline(), WITHIN))

    async def asked(self, **request: Any) -> dict[str, Any]:
        self.ask(**request)
        return await self.line()

    async def greeted(self, url: str = "memory://", **options: Any) -> None:
        assert (await self.asked(id=1, do="hello", protocol=1))["outcome"] == "ok"
        assert (await self.asked(id=2, do="start", connection=1, url=url, options=options))["outcome"] == "ok"
        entering = {"connection": 1, "subscription": 1, "topic": "t", "group": "g", "policy": {}}
        assert await self.asked(id=3, do="subscribe", **entering) == {"id": 3, "outcome": "ok"}

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), WITHIN)


@asynccontextmanager
async def raw(*words: str) -> AsyncIterator[Raw]:
    process = await asyncio.create_subprocess_exec(
        *SERVED, *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Raw(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def run(work: Any) -> Any:
    """On a loop of its own, in which no task is left in the end."""

    async def alone() -> Any:
        try:
            return await work
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(alone())


def blocking(fifo: Path) -> None:
    """Wait until a liar has told its lie; the event loop stands still meanwhile, and reads nothing."""
    with fifo.open("rb") as told:
        told.read()


async def written(call: asyncio.Future[Any]) -> None:
    """Let a call begin, which writes its request."""
    await asyncio.wait({call}, timeout=0)
