"""Requests and their answers, many at once over one inbox.

The client library has the same; this one costs half as much per request, sends before it first suspends
(the library's first request opens the inbox and may be overtaken by the second), and tells all who wait
when the connection is lost, since an answer to what was sent on it will not come.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

Outgoing = tuple[str, bytes, str, "dict[str, str] | None"]  # subject, payload, reply, headers


class Disconnected(nats.errors.Error):
    """The connection was lost before the answer came."""

    def __str__(self) -> str:
        return "the connection was lost before the answer came"


class Forbidden(nats.errors.Error):
    """The user may not publish to the subject of a request, or hear the answer to it; it took no effect."""


class _Open:
    """A request that waits for its answer. refused: whether one to its subject was refused meanwhile.
    told: whether the answer comes from ourselves, to a refused one too."""

    __slots__ = ("answer", "refused", "subject", "told")

    def __init__(self, subject: str, *, told: bool = False) -> None:
        self.subject = subject
        self.answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self.refused = False
        self.told = told


class Requests:
    """The open requests of one client. `open` comes first.

    A refusal names the subject (in lower case) and not the request, and an answer to one request may
    come after the refusal of the next. So requests are refused once there are as many refusals as requests
    open to the subject.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._numbers = count(1)
        self._open: dict[str, _Open] = {}
        self._refusals: Counter[str] = Counter()
        self._inbox = ""
        self._deaf: str | None = None

    async def open(self) -> None:
        self._inbox = f"{self._client.new_inbox()}."
        await self._client.subscribe(f"{self._inbox}*", cb=self._answered)

    async def ask(self, subject: str, payload: bytes, headers: dict[str, str] | None, timeout: float) -> Msg:
        """The answer. Raises what `Client.publish` raises, Disconnected, Forbidden, and of nats.errors
        NoRespondersError and, after `timeout` seconds, TimeoutError."""
        reply = self._reply()
        message = await self._answer(_Open(subject), reply, timeout, (subject, payload, reply, headers))
        if message.headers and message.headers.get("Status") == "503":
            raise nats.errors.NoRespondersError
        return message

    async def tell(
        self, subject: str, payload: bytes, headers: dict[str, str] | None, timeout: float
    ) -> None:
        """Send what nobody answers, and wait until the server has handled it: a message to ourselves that is
        sent after it comes back. Raises as `ask` does, but never NoRespondersError.

        Which of several to one subject was refused cannot be told: then all raise nats.errors.Error.
        """
        reply, told = self._reply(), _Open(subject, told=True)
        await self._answer(told, reply, timeout, (subject, payload, "", headers), (reply, b"", "", None))
        if told.refused:
            raise nats.errors.Error(_violation(subject))

    async def echo(self, timeout: float) -> None:
        """Wait until the server has handled all that was sent before, and what it sent until then is here.
        The library's flush writes its ping ahead of what waits to be written, and one that is cancelled ends
        the task that reads from the server. Raises as `tell` does."""
        reply = self._reply()
        await self._answer(_Open(reply), reply, timeout, (reply, b"", "", None))

    async def _answer(self, request: _Open, reply: str, timeout: float, *messages: Outgoing) -> Msg:
        """Send the messages one after the other; the answer that comes to `reply`."""
        if self._deaf is not None:
            raise Forbidden(self._deaf)
        self._open[reply] = request
        timer = asyncio.get_running_loop().call_later(timeout, _time_out, request.answer)
        try:
            for message in messages:
                await self._client.publish(*message)
            return await request.answer
        finally:
            timer.cancel()
            del self._open[reply]
            if self._refusals:
                self._ended(request)

    def _reply(self) -> str:
        return f"{self._inbox}{next(self._numbers)}"

    def disconnected(self) -> None:
        self._deaf = None
        self._fail(Disconnected)

    def refused(self, subject: str) -> None:
        """The user may not publish to that subject. It is in lower case, as the client tells it."""
        self._refusals[subject] += 1
        for request in self._open.values():
            request.refused = request.refused or request.subject.lower() == subject
        self._refuse_if_all(subject)

    def deafened(self, subject: str, words: str) -> None:
        """The user may not subscribe to that subject: if answers come there, none will."""
        if subject == f"{self._inbox}*".lower():
            self._deaf = f"{words} (the option inbox says where answers go)"
            self._fail(partial(nats.errors.Error, self._deaf))

    def _ended(self, request: _Open) -> None:
        """One request less. One that was given up, or was only told, may be the one that was refused."""
        subject, answer = request.subject.lower(), request.answer
        if subject in self._refusals:
            given_up = answer.cancelled() or not answer.done() or answer.exception() is not None
            if given_up or (request.told and request.refused):
                self._refusals[subject] -= 1
            self._refuse_if_all(subject)

    def _refuse_if_all(self, subject: str) -> None:
        waiting = [request for request in self._waiting() if request.subject.lower() == subject]
        number = self._refusals[subject]
        if number and len(waiting) > number:
            return
        del self._refusals[subject]
        for request in waiting[:number]:
            request.answer.set_exception(Forbidden(_violation(request.subject)))

    def _waiting(self) -> list[_Open]:
        return [request for request in self._open.values() if not request.answer.done()]

    def _fail(self, reason: Callable[[], Exception]) -> None:
        for request in self._waiting():
            request.answer.set_exception(reason())

    async def _answered(self, message: Msg) -> None:
        request = self._open.get(message.subject)
        if request is not None and not request.answer.done():
            request.answer.set_result(message)


def _violation(subject: str) -> str:
    return f'permissions violation for publish to "{subject}"'


def _time_out(answer: asyncio.Future[Msg]) -> None:
    if not answer.done():
        answer.set_exception(nats.errors.TimeoutError())
