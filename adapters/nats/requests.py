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


class Disconnected(nats.errors.Error):
    """The connection was lost before the answer came."""

    def __str__(self) -> str:
        return "the connection was lost before the answer came"


class Forbidden(nats.errors.Error):
    """The user may not publish to the subject of a request, or hear the answer to it; it took no effect."""


class Requests:
    """The open requests of one client. `open` comes first.

    A refusal names the subject (in lower case) and not the request, and an answer to one request may
    come after the refusal of the next. So requests are refused once there are as many refusals as requests
    open to the subject.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._numbers = count(1)
        self._open: dict[str, tuple[str, asyncio.Future[Msg]]] = {}
        self._refusals: Counter[str] = Counter()
        self._inbox = ""
        self._deaf: str | None = None

    async def open(self) -> None:
        self._inbox = f"{self._client.new_inbox()}."
        await self._client.subscribe(f"{self._inbox}*", cb=self._answered)

    async def ask(self, subject: str, payload: bytes, headers: dict[str, str] | None, timeout: float) -> Msg:
        """The answer. Raises what `Client.publish` raises, Disconnected, Forbidden, and of nats.errors
        NoRespondersError and, after `timeout` seconds, TimeoutError."""
        if self._deaf is not None:
            raise Forbidden(self._deaf)
        loop = asyncio.get_running_loop()
        reply = f"{self._inbox}{next(self._numbers)}"
        answer: asyncio.Future[Msg] = loop.create_future()
        self._open[reply] = subject, answer
        timer = loop.call_later(timeout, _time_out, answer)
        try:
            await self._client.publish(subject, payload, reply, headers)
            message: Msg = await answer
        finally:
            timer.cancel()
            del self._open[reply]
            if self._refusals:
                self._ended(subject.lower(), answer)
        if message.headers and message.headers.get("Status") == "503":
            raise nats.errors.NoRespondersError
        return message

    def disconnected(self) -> None:
        self._deaf = None
        self._fail(Disconnected)

    def refused(self, subject: str) -> None:
        """The user may not publish to that subject. It is in lower case, as the client tells it."""
        self._refusals[subject] += 1
        self._refuse_if_all(subject)

    def deafened(self, subject: str, words: str) -> None:
        """The user may not subscribe to that subject: if answers come there, none will."""
        if subject == f"{self._inbox}*".lower():
            self._deaf = f"{words} (the option inbox says where answers go)"
            self._fail(partial(nats.errors.Error, self._deaf))

    def _ended(self, subject: str, answer: asyncio.Future[Msg]) -> None:
        """One request less. One that was given up may be the one that was refused."""
        if subject in self._refusals:
            if answer.cancelled() or not answer.done() or answer.exception() is not None:
                self._refusals[subject] -= 1
            self._refuse_if_all(subject)

    def _refuse_if_all(self, subject: str) -> None:
        waiting = [(asked, answer) for asked, answer in self._waiting() if asked.lower() == subject]
        number = self._refusals[subject]
        if number and len(waiting) > number:
            return
        del self._refusals[subject]
        for asked, answer in waiting[:number]:
            answer.set_exception(Forbidden(f'permissions violation for publish to "{asked}"'))

    def _waiting(self) -> list[tuple[str, asyncio.Future[Msg]]]:
        return [(asked, answer) for asked, answer in self._open.values() if not answer.done()]

    def _fail(self, reason: Callable[[], Exception]) -> None:
        for _, answer in self._waiting():
            answer.set_exception(reason())

    async def _answered(self, message: Msg) -> None:
        _, answer = self._open.get(message.subject, (None, None))
        if answer is not None and not answer.done():
            answer.set_result(message)


def _time_out(answer: asyncio.Future[Msg]) -> None:
    if not answer.done():
        answer.set_exception(nats.errors.TimeoutError())
