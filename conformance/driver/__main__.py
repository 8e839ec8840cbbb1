"""Serve an adapter over standard input and output.

`python -m eventproof.conformance.driver [--adapter MODULE_OR_FILE:CONNECT]`; without --adapter the URL of
`start` picks one, as `eventproof.connect` does. Standard output belongs to the protocol from the first
moment: what an adapter prints goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from typing import Final, NoReturn

from eventproof.adapters import connect as installed
from eventproof.adapters.connect import Connect
from eventproof.adapters.errors import EventproofError
from eventproof.adapters.secret import redacted
from eventproof.conformance.driver.lines import Malformed
from eventproof.conformance.driver.serve import Server
from eventproof.conformance.driver.splitting import Splitter
from eventproof.conformance.loading import load
from eventproof.conformance.logs import Redacted

LEAVE: Final = 3.0  # seconds for leaving in order when the input has ended
LATEST: Final = 4.0  # seconds after which it is over, whatever the adapter does
CHUNK: Final = 1 << 16  # bytes
ENDED, MALFORMED, NO_ADAPTER = 0, 1, 3


class _Input:
    """Standard input, read by a thread: it may be of any kind, and its end is noticed while an adapter blocks
    the event loop. over: when it ended, or held what is no request."""

    def __init__(self, given: int, server: Server, over: asyncio.Future[None]) -> None:
        self._given = given
        self._server = server
        self._over = over
        self._splitter = Splitter()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while data := os.read(self._given, CHUNK):
            self._loop.call_soon_threadsafe(self._feed, data)
        self._loop.call_soon_threadsafe(_end, self._over)
        threading.Event().wait(LATEST)
        _exit(ENDED)

    def _feed(self, data: bytes) -> None:
        try:
            for line in self._splitter.feed(data):
                self._server.take(line)
        except Malformed as problem:
            if not self._over.done():
                self._over.set_exception(problem)


class _Output(asyncio.BaseProtocol):
    """Standard output; what nobody reads any more is lost."""


def main() -> None:
    """Serve until standard input ends. Ends the process."""
    parser = argparse.ArgumentParser(prog="python -m eventproof.conformance.driver")
    parser.add_argument("--adapter", metavar="MODULE_OR_FILE:CONNECT")
    spec: str | None = parser.parse_args().adapter
    given, told = _reserve()
    handler = logging.StreamHandler()
    handler.setFormatter(Redacted())
    logging.getLogger().addHandler(handler)
    try:
        connect = installed.connect if spec is None else load(spec)
    except EventproofError as problem:
        _exit(NO_ADAPTER, str(problem))
    asyncio.run(_serve(connect, spec or "eventproof", given, told))


async def _serve(connect: Connect, name: str, given: int, told: int) -> None:
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    output, _ = await loop.connect_write_pipe(_Output, os.fdopen(told, "wb"))
    server = Server(connect, name, output.write)
    for stopping in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stopping, _end, over)
    _Input(given, server, over)
    try:
        await over
    except Malformed as problem:
        _exit(MALFORMED, str(problem))
    await asyncio.wait({asyncio.ensure_future(server.close())}, timeout=LEAVE)
    _exit(ENDED)


def _end(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


def _reserve() -> tuple[int, int]:
    """The real standard input and output. Whatever else reads from 0 gets nothing, and what is written to 1,
    by a library in C or a child as well, goes to standard error."""
    given, told = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return given, told


def _exit(status: int, problem: str = "") -> NoReturn:
    """At once: a thread or a handler of an adapter keeps no process alive whose input has ended."""
    if problem:
        sys.stderr.write(f"eventproof: {redacted(problem)}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the current folder: an adapter is found here as the suite finds it
    main()
