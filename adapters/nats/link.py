"""One connection to a NATS server: opened, watched, and every call on it under a deadline.

Errors of the client library end here: what is not certain is `Indeterminate`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from eventproof.adapters.errors import Indeterminate, Rejected, Unreachable
from eventproof.adapters.nats.options import Options
from eventproof.adapters.nats.requests import Disconnected, Requests

R = TypeVar("R")
log = logging.getLogger("eventproof.adapters.nats")
RECONNECT_WAIT = 0.1
PING_INTERVAL = 5  # a silent network is noticed after three of them


class Link:
    """A connected client and who wants to know of its fate.

    on_reconnect: called after each reconnect; what was asked of the server before is forgotten there.
    on_close: called when the connection is closed for good.
    """

    def __init__(self, options: Options) -> None:
        self.client = Client()
        self.prefix = options.prefix
        self.deadline = options.deadline
        self.forget_groups_after = options.forget_groups_after
        self.on_reconnect: set[Callable[[], None]] = set()
        self.on_close: set[Callable[[], None]] = set()
        self._connected = asyncio.Event()
        self._requests = Requests(self.client)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Msg:
        """The server's answer. Raises NoAnswer if nothing serves the subject, ConnectionLost, Indeterminate.

        The request is on its way when this first suspends: calls made one after the other keep their order.
        """
        with translated(subject):
            return await self._requests.ask(subject, payload, headers, timeout or self.deadline)

    async def tell(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        """Send what nobody answers; returns once the server has handled it. Raises Rejected (`closed`),
        ConnectionLost, Indeterminate. The message is on its way when this first suspends."""
        with translated(subject):
            await self._requests.tell(subject, payload, headers, self.deadline)

    async def barrier(self) -> None:
        """As `round_trip`, and may be cancelled: a client whose flush was cancelled reads no more. The user
        has to be permitted to publish to the inbox. Raises as `tell` does."""
        with translated("waiting for the server"):
            await self._requests.echo(self.deadline)

    async def round_trip(self) -> None:
        """Wait until the server has handled what was sent before, and what it sent until then is here.

        The client's own `flush` sends its ping at once, ahead of all that still waits to be sent. Raises as
        `request` does.
        """
        with translated("a round trip"):
            while self.client.pending_data_size:  # noqa: ASYNC110 - the client tells nobody when it has sent it
                await asyncio.sleep(0)
            await self.client.flush()

    async def ready(self) -> None:
        """Wait until connected; takes as long as that takes."""
        if not self.client.is_connected:
            await self._connected.wait()

    async def within_deadline(self, act: str, steps: Awaitable[R], *, since: float | None = None) -> R:
        """A call of several steps ends in time too (ADP-003), counted from now or `since` (`loop.time()`).

        Raises Indeterminate after the deadline.
        """
        spent = 0.0 if since is None else asyncio.get_running_loop().time() - since
        with translated(act):
            return await asyncio.wait_for(steps, self.deadline - spent)

    async def close(self) -> None:
        try:
            await asyncio.wait_for(self.client.close(), self.deadline)
        except (nats.errors.Error, OSError, asyncio.TimeoutError) as error:
            log.warning("closing the connection: %s", _told(error))

    async def connect(self, url: str, options: Options) -> None:
        await self.client.connect(
            url,
            name=options.name,
            inbox_prefix=options.inbox,
            error_cb=_note,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
            closed_cb=self._closed,
            connect_timeout=options.connect_timeout,  # type: ignore[arg-type] # any number of seconds
            reconnect_time_wait=RECONNECT_WAIT,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
            ping_interval=PING_INTERVAL,
        )
        await self._requests.open()
        self._connected.set()

    async def _disconnected(self) -> None:
        self._connected.clear()
        self._requests.disconnected()

    async def _reconnected(self) -> None:
        self._connected.set()
        for call in tuple(self.on_reconnect):
            call()

    async def _closed(self) -> None:
        for call in tuple(self.on_close):
            call()


class NoAnswer(Indeterminate):
    """Nothing at the server serves the subject now: no such stream or consumer, or it is not up yet."""


class ConnectionLost(Indeterminate):
    """The connection was lost before the answer came; it is being made again."""


@asynccontextmanager
async def open_link(url: str, options: Options) -> AsyncIterator[Link]:
    """A link to the server at `url`. Raises Unreachable when none answers in `connect_timeout` seconds."""
    link = Link(options)
    try:
        await asyncio.wait_for(link.connect(url, options), options.connect_timeout)
    except (nats.errors.Error, OSError, ValueError, asyncio.TimeoutError) as error:
        reason = link.client.last_error or error
        await link.close()
        raise Unreachable(f"no NATS server answers at {_redacted(url)}: {_told(reason)}") from error
    except BaseException:
        await link.close()
        raise
    try:
        yield link
    finally:
        await link.close()


@contextmanager
def translated(act: str) -> Iterator[None]:
    """Turn the client library's errors into ours."""
    try:
        yield
    except nats.errors.NoRespondersError as error:
        raise NoAnswer(f"{act}: nothing serves it") from error
    except Disconnected as error:
        raise ConnectionLost(f"{act}: {error}") from error
    except nats.errors.ConnectionClosedError as error:
        raise Rejected("closed", "the connection to the NATS server is closed") from error
    except (nats.errors.Error, asyncio.TimeoutError, OSError) as error:
        raise Indeterminate(f"{act}: {_told(error)}") from error


async def _note(error: Exception) -> None:
    """The client reports each lost connection and failed attempt here, and goes on by itself; anything else
    is an error of ours in a callback."""
    level = (
        logging.INFO
        if isinstance(error, (nats.errors.Error, OSError, asyncio.TimeoutError))
        else logging.ERROR
    )
    log.log(level, "nats client: %s", _told(error), exc_info=error if level == logging.ERROR else None)


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _redacted(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url
