"""Requests and their answers, many at once over one inbox.

The client library has the same; this one costs half as much per request, sends before it first suspends
(the library's first request opens the inbox and may be overtaken by the second), and tells all who wait
when the connection is lost, since an answer to what was sent on it will not come.
"""

from __future__ import annotations

import asyncio
from itertools import count

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

Outgoing = tuple[str, bytes, str, "dict[str, str] | None"]  # subject, payload, reply, headers


class Disconnected(nats.errors.Error):
    """The connection was lost before the answer came."""

    def __str__(self) -> str:
        return "the connection was lost before the answer came"


class Requests:
    """The open requests of one client. `open` comes first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._numbers = count(1)
        self._open: dict[str, asyncio.Future[Msg]] = {}
        self._inbox = ""

    async def open(self) -> None:
        inbox = self._client.new_inbox()
        await self._client.subscribe(f"{inbox}.*", cb=self._answered)
        self._inbox = f"{inbox}."

    async def ask(self, subject: str, payload: bytes, headers: dict[str, str] | None, timeout: float) -> Msg:
        """The answer. Raises what `Client.publish` raises, Disconnected, and of nats.errors NoRespondersError
        and, after `timeout` seconds, TimeoutError."""
        reply = f"{self._inbox}{next(self._numbers)}"
        message = await self._answer(reply, timeout, (subject, payload, reply, headers))
        if message.headers and message.headers.get("Status") == "503":
            raise nats.errors.NoRespondersError
        return message

    async def tell(
        self, subject: str, payload: bytes, headers: dict[str, str] | None, timeout: float
    ) -> None:
        """Send what nobody answers, and wait until the server has handled it. Raises as `ask` does, but never
        NoRespondersError."""
        reply = f"{self._inbox}{next(self._numbers)}"
        await self._answer(reply, timeout, (subject, payload, "", headers), (reply, b"", "", None))

    async def echo(self, timeout: float) -> None:
        """Wait until the server has handled all that was sent before: a message to ourselves comes back.
        The library's flush writes its ping ahead of what waits to be written, and one that is cancelled ends
        the task that reads from the server."""
        reply = f"{self._inbox}{next(self._numbers)}"
        await self._answer(reply, timeout, (reply, b"", "", None))

    async def _answer(self, reply: str, timeout: float, *messages: Outgoing) -> Msg:
        """Send the messages one after the other; the answer that comes to `reply`."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        self._open[reply] = answer
        timer = loop.call_later(timeout, _time_out, answer)
        try:
            for message in messages:
                await self._client.publish(*message)
            return await answer
        finally:
            timer.cancel()
            del self._open[reply]

    def disconnected(self) -> None:
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(Disconnected)

    async def _answered(self, message: Msg) -> None:
        answer = self._open.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)


def _time_out(answer: asyncio.Future[Msg]) -> None:
    if not answer.done():
        answer.set_exception(nats.errors.TimeoutError())
