"""An adapter behind the driver protocol: requests in, answers and notices out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from eventproof.adapters import errors
from eventproof.adapters.connect import Connect, UnknownAdapter
from eventproof.adapters.secret import redacted
from eventproof.conformance.driver import lines
from eventproof.conformance.driver.acts import Acts
from eventproof.conformance.driver.lines import Answer, Request
from eventproof.conformance.foreign import ForeignError, foreign

NO_CONNECTION: Final[Mapping[type[errors.EventproofError], str]] = {
    errors.Unreachable: "unreachable",
    errors.InvalidOption: "invalid-option",
    UnknownAdapter: "no-adapter",
}


class Server:
    """Carries out each request in a task of its own, and writes what became of it.

    connect: opens a connection. name: what `hello` tells. write: takes one line with its line feed.
    """

    def __init__(self, connect: Connect, name: str, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._acts = Acts(connect, name, lambda notice: write(lines.encode(notice)))
        self._closing = False
        self._tasks: set[asyncio.Future[None]] = set()

    def take(self, line: bytes) -> None:
        """Begin with a request; tasks begin in the order in which they are made.

        Raises Malformed for a line whose writer cannot be answered.
        """
        try:
            request = lines.request(line)
        except lines.Malformed as problem:
            if problem.id is None:
                raise
            self._write(lines.encode(lines.Rejected(problem.id, "invalid", redacted(str(problem)))))
            return
        task = asyncio.ensure_future(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is open, unanswered, and leave everything."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, self._acts.leave_all(), return_exceptions=True)

    async def _answer(self, request: Request) -> None:
        try:
            line = await self._outcome(request)
        except asyncio.CancelledError:
            if self._closing:
                raise
            line = lines.encode(lines.Error(request.id, "the adapter cancelled the task of its caller"))
        self._write(line)

    async def _outcome(self, request: Request) -> bytes:
        """The answer as a line, whatever the adapter does."""
        try:
            with foreign(lines.verb(request)):
                return lines.encode(await self._acts.do(request))
        except errors.Rejected as refusal:
            answer: Answer = lines.Rejected(request.id, redacted(refusal.kind), redacted(refusal.detail))
        except ForeignError as raised:
            answer = lines.Error(request.id, raised.trace)
        except errors.EventproofError as raised:
            answer = _other(request, raised)
        return lines.encode(answer)


def _other(request: Request, raised: errors.EventproofError) -> Answer:
    """Where the port has a place for it, its outcome; elsewhere an error."""
    told = redacted(str(raised))
    if isinstance(request, lines.Next) and isinstance(raised, errors.SessionLost):
        return lines.Lost(request.id, told)
    if not isinstance(request, lines.Next) and isinstance(raised, errors.Indeterminate):
        return lines.Indeterminate(request.id, told)
    if isinstance(request, lines.Start) and type(raised) in NO_CONNECTION:
        return lines.Rejected(request.id, NO_CONNECTION[type(raised)], told)
    return lines.Error(request.id, redacted(repr(raised)))
