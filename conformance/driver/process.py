"""One driver process, ready to be asked, killed and frozen.

    async with open_process(command) as process, process.connect(url, **options) as broker:
        ...
        process.kill()
        await process.ended()

`kill` takes effect at once, and is known to have when `ended` returns: by then each call that was open ended
with its last answer, if that was in the pipe, or as the port's errors have it (`Indeterminate`, and
`SessionLost` for the wait for a delivery), and whoever awaited it directly has gone on.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final

from eventproof.adapters.errors import EventproofError
from eventproof.adapters.port import Broker
from eventproof.adapters.secret import redacted
from eventproof.conformance.driver import lines
from eventproof.conformance.driver.broker import connect
from eventproof.conformance.driver.child import Child, start
from eventproof.conformance.driver.exchange import DriverFailed, Exchange

HELLO: Final = 10.0  # seconds within which the handshake is done


class DriverNotReady(EventproofError):
    """The driver cannot be started, or the handshake failed; the message says why, in one line."""


class Process:
    """A driver that has said hello. name, versions: what it says of itself."""

    def __init__(self, child: Child, exchange: Exchange, welcome: lines.Welcome) -> None:
        self._child = child
        self._exchange = exchange
        self.name = welcome.name
        self.versions: Mapping[str, str] = welcome.versions

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def over(self) -> bool:
        """Whether it has ended, or is no longer listened to."""
        return self._exchange.over

    def connect(self, url: str, **options: Any) -> AbstractAsyncContextManager[Broker]:
        """One participant's connection. Raises as `eventproof.conformance.driver.broker.connect` does."""
        return connect(self._exchange, url, **options)

    def kill(self) -> None:
        """SIGKILL to it and all that it has started."""
        self._child.kill()

    def freeze(self) -> None:
        """SIGSTOP; returns once it stands still. Calls stay open meanwhile."""
        self._child.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._child.thaw()

    async def ended(self) -> None:
        """Wait until it has ended and its output was read to the end.

        Raises DriverFailed if that was not our doing: it ended by itself, also if it was only just before a
        kill, or it wrote what the protocol does not have.
        """
        await self._child.ended()
        self._exchange.check()


@asynccontextmanager
async def open_process(command: Sequence[str]) -> AsyncIterator[Process]:
    """Start a driver; in the end it and all that it has started is gone. Raises DriverNotReady."""
    exchange, shown = Exchange(), redacted(shlex.join(command))
    try:
        child = await start(command, exchange)
    except OSError as problem:
        raise DriverNotReady(f"the driver {shown} cannot be started: {problem.strerror}") from problem
    exchange.attach(child)
    try:
        yield Process(child, exchange, await _welcome(exchange, shown))
    finally:
        await child.close()


async def _welcome(exchange: Exchange, shown: str) -> lines.Welcome:
    try:
        answer = await asyncio.wait_for(exchange.call(partial(lines.Hello, protocol=lines.PROTOCOL)), HELLO)
    except asyncio.TimeoutError:
        raise DriverNotReady(f"the driver {shown} did not answer hello within {HELLO:g} s") from None
    except DriverFailed as failed:
        raise DriverNotReady(f"the driver {shown} {_said(failed)}") from failed
    if isinstance(answer, lines.Welcome) and answer.protocol == lines.PROTOCOL:
        return answer
    if isinstance(answer, lines.Welcome):
        told = f"speaks version {answer.protocol} of the driver protocol"
    else:
        assert isinstance(answer, (lines.Rejected, lines.Error))
        told = f"refuses: {answer.detail or 'it gives no reason'}"
    raise DriverNotReady(f"the driver {shown} {told}; this is version {lines.PROTOCOL}")


def _said(failed: DriverFailed) -> str:
    """Before the handshake, with the last line of its standard error."""
    last = failed.tail.splitlines()[-1:] or ["nothing on its standard error"]
    return f"{failed.problem}, before the handshake: {redacted(last[0])}"
