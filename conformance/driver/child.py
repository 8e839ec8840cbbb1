"""A driver as a process of the operating system: its pipes, its signals, its end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol, cast

from eventproof.conformance.driver.lines import Malformed
from eventproof.conformance.driver.splitting import Splitter
from eventproof.conformance.processes import die_with_parent, wait_until_still

GRACE: Final = 5.0  # seconds in which a process ends that was asked to, or that half ended already
TAIL: Final = 4000  # bytes of standard error that are kept


class Hearer(Protocol):
    """Who gets what a child says. All calls come from the event loop, in the order of the output."""

    def line(self, line: bytes) -> None:
        """One line of its standard output. Raises Malformed."""
        ...

    def malformed(self, problem: Malformed) -> None:
        """A line that is none; the child is killed for it, and no other line follows."""
        ...

    def gone(self, problem: str | None) -> None:
        """It ended, and its output was read to the end. problem: None if that was our doing."""
        ...


class Child(asyncio.SubprocessProtocol):
    """A running child, in a session of its own, so that a signal reaches whatever it has started."""

    def __init__(self, hearer: Hearer) -> None:
        self._hearer = hearer
        self._loop = asyncio.get_running_loop()
        self._splitter = Splitter()
        self._tail = b""
        self._asked: signal.Signals | None = None
        self._closing = False
        self._deaf = False
        self._given_up = ""
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.SubprocessTransport | None = None

    @property
    def pid(self) -> int:
        assert self._transport is not None
        return self._transport.get_pid()

    @property
    def tail(self) -> str:
        """The end of what it wrote to its standard error."""
        return self._tail.decode(errors="replace").strip()

    def write(self, line: bytes) -> None:
        """Give it a line, if it is still there to read it."""
        if not (self._closing or self._over.done() or self._stdin.is_closing()):
            self._stdin.write(line)

    def kill(self) -> None:
        """SIGKILL. What it had written before is still read; see `ended`."""
        self._asked = signal.SIGKILL
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP; returns once it stands still."""
        self._signal(signal.SIGSTOP)
        if not self._over.done():
            wait_until_still(self.pid)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    async def ended(self) -> None:
        """Wait until it has ended and its output was read to the end."""
        await asyncio.wait({self._over})

    async def close(self) -> None:
        """End its input and wait until it has ended; what does not end by itself is killed."""
        self._closing = True
        self.thaw()
        self._stdin.close()
        try:
            await asyncio.wait({self._over}, timeout=GRACE)
        finally:
            self._signal(signal.SIGKILL)
            await self.ended()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 1:
            self._tail = (self._tail + data)[-TAIL:]
        elif not self._deaf:
            try:
                for line in self._splitter.feed(data):
                    self._hearer.line(line)
            except Malformed as problem:
                self._deaf = True
                self._hearer.malformed(problem)
                self._signal(signal.SIGKILL)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio gives it
        if fd == 1:  # a driver without output is none: it has a while to end in order
            self._loop.call_later(GRACE, self._give_up)

    def process_exited(self) -> None:
        assert self._transport is not None
        self._loop.call_later(GRACE, self._transport.close)  # somebody else may hold its pipes

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio gives it
        assert self._transport is not None
        status = self._transport.get_returncode()
        ours = self._closing or (self._asked is not None and status == -self._asked)
        self._transport.close()
        self._hearer.gone(None if ours else self._given_up or f"ended by itself, with status {status}")
        self._over.set_result(None)

    @property
    def _stdin(self) -> asyncio.WriteTransport:
        assert self._transport is not None
        return cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def _give_up(self) -> None:
        self._given_up = f"closed its standard output, and had not ended {GRACE:g} s later"
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if not self._over.done():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)


async def start(command: Sequence[str], hearer: Hearer) -> Child:
    """Raises OSError if there is no such program, or it cannot be run."""
    _, child = await asyncio.get_running_loop().subprocess_exec(
        lambda: Child(hearer),
        *command,
        start_new_session=True,  # a Ctrl-C of the user is ours to handle, in order
        preexec_fn=die_with_parent(),  # one system call, prepared before the fork
    )
    return child
