"""A driver as a target: one process, in which every participant has a connection of its own."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

from eventproof.adapters.port import Broker
from eventproof.conformance.driver.exchange import DriverFailed
from eventproof.conformance.driver.process import Process, open_process
from eventproof.conformance.foreign import ForeignError
from eventproof.conformance.targets.target import Clock


class DriverTarget:
    """The parts of `eventproof.conformance.targets.target.Target` that a driver has.

    A process that died is not used again, and fails those alone that were connected through it.
    """

    clock: Clock = "real"

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: Process | None = None
        self._processes = AsyncExitStack()
        self._starting = asyncio.Lock()

    @asynccontextmanager
    async def start(self, url: str | None) -> AsyncIterator[str]:
        """Raises DriverNotReady, ForeignError."""
        self._starting = asyncio.Lock()
        async with AsyncExitStack() as self._processes:
            await self._running()
            try:
                yield url or f"memory://{uuid4()}"
            except DriverFailed as failed:  # on leaving the last connection, which is no scenario's
                raise ForeignError(shlex.join(self._command), str(failed)) from failed
            finally:
                self._process = None

    @asynccontextmanager
    async def connect(self, url: str, **options: Any) -> AsyncIterator[Broker]:
        """Raises DriverNotReady, and what `Process.connect` raises."""
        process = await self._running()
        async with process.connect(url, **options) as broker:
            yield broker

    def versions(self) -> Mapping[str, str]:
        assert self._process is not None, "the target is used inside `start`"
        return {"driver": self._process.name, **self._process.versions}

    async def _running(self) -> Process:
        async with self._starting:
            if self._process is None or self._process.over:
                self._process = await self._processes.enter_async_context(open_process(self._command))
            return self._process
