"""A server of our own: one process with a folder, on the loopback interface, that never outlives this one."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from eventproof.adapters.errors import EventproofError
from eventproof.conformance.processes import die_with_parent, wait_until_still
from eventproof.conformance.targets import serverfolder


class MissingServer(EventproofError):
    """The server's program, or what it runs on, is not installed."""


class ServerFailed(EventproofError):
    """The server did not start, or ended by itself."""


class OwnServer(ABC):
    """One server process with a folder of its own.

    folder: where the data stays; None for a temporary one, removed in the end.
    `start` and `stop` may be repeated: data and address stay the same until `remove`. A kind of server says
    how it is called and when it is ready.
    """

    kind: ClassVar[str]  # what its temporary folders are named after
    program: ClassVar[str]  # for people
    within: ClassVar[float]  # seconds from `start` until it is ready
    patience: ClassVar[float] = 10.0  # seconds that it has to end in order
    in_order: ClassVar[Sequence[int]] = (0,)  # exit statuses of a server that was asked to end

    def __init__(self, folder: Path | None) -> None:
        self._kept = folder is not None
        self._folder = (
            folder.absolute()
            if folder is not None
            else serverfolder.temporary(f"eventproof-{self.kind}-", serverfolder.roomiest())
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._begin = 0  # where in server.out the present process begins
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    def pid(self) -> int | None:
        """The running server's process id."""
        return self._process.pid if self._process is not None else None

    @abstractmethod
    async def _prepare(self) -> Sequence[str | Path]:
        """Write what the server reads; return its command line."""

    @abstractmethod
    async def _ready(self, process: subprocess.Popen[bytes]) -> None:
        """Ask until the server does what it is for; `_alive` ends that when it cannot come any more."""

    async def start(self) -> None:
        """Start and wait until it can be used. Raises ServerFailed with what it logged."""
        command = await self._prepare()
        with (self._folder / "server.out").open("ab") as output:
            self._begin = output.tell()
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own server, and a fork takes a millisecond
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C of the user is ours to handle, in order
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one system call, prepared before the fork
            )
        try:
            await asyncio.wait_for(self._ready(self._process), self.within)
        except asyncio.TimeoutError:
            await self.stop(signal.SIGKILL)
            raise ServerFailed(
                f"{self.program} was not ready within {self.within:g} s: {self._log()}"
            ) from None

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process, also a frozen one: SIGTERM in order, and SIGKILL if that takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # before that a frozen one does not hear the other
        try:
            await asyncio.to_thread(process.wait, self.patience)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def kill(self) -> None:
        """SIGKILL: what was not written is lost, and the page cache stays."""
        if self._process is not None:
            self._process.kill()

    async def revive(self) -> None:
        """Start again after a kill: same address, same data."""
        await self.stop(signal.SIGKILL)
        await self.start()

    def freeze(self) -> None:
        """SIGSTOP; returns once it stands still."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            wait_until_still(self._process.pid)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Stop in order and start again: same address, same data."""
        await self.stop()
        await self.start()

    async def ended(self) -> None:
        """Wait until the process ends by itself or by `stop`; then raise ServerFailed or return."""
        process = self._process
        if process is not None and await asyncio.to_thread(process.wait) not in self.in_order:
            raise self._failed(process)

    async def remove(self) -> None:
        """Stop, and delete the data unless the folder was given."""
        await self.stop()
        if not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _alive(self, process: subprocess.Popen[bytes]) -> None:
        """Raise ServerFailed if the process has ended."""
        if process.poll() is not None:
            raise self._failed(process)

    def _failed(self, process: subprocess.Popen[bytes]) -> ServerFailed:
        return ServerFailed(f"{self.program} ended with status {process.returncode}: {self._log()}")

    @abstractmethod
    def _log(self) -> str:
        """The end of what the server has said."""
