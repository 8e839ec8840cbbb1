"""One connection to a NATS server: opened, watched, and every call on it under a deadline.

Errors of the client library end here: what is not certain is `Indeterminate`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

import nats.errors
from nats.aio.msg import Msg

from eventproof.adapters.errors import Indeterminate, Rejected, Unreachable
from eventproof.adapters.nats import security
from eventproof.adapters.nats.options import Options
from eventproof.adapters.nats.requests import Disconnected, Forbidden, Requests
from eventproof.adapters.nats.words import forbidden, refuses, told, told_in_full
from eventproof.adapters.secret import redacted

R = TypeVar("R")
log = logging.getLogger("eventproof.adapters.nats")
RECONNECT_WAIT = 0.1
PING_INTERVAL = 5  # a silent network is noticed after three of them
CLOSED: Final = "the connection to the NATS server is closed"


class Link:
    """A connected client and who wants to know of its fate. Raises InvalidOption.

    server: id of the server process; it is new with each start.
    on_reconnect: called after each reconnect; what was asked of the server before is forgotten there.
    on_restart: called before that if it is another server process: it may have forgotten what was in flight.
    on_close: called when the connection is closed for good.
    on_forbidden: called with a subject, in lower case, that the user has no permission for, and with the
    server's words.
    """

    def __init__(self, url: str, options: Options) -> None:
        self._url = security.address(url, options)
        self._given = security.arguments(self._url, options)
        self.client = security.SecureClient(tls="tls" in self._given)
        self.server = ""
        self.prefix = options.prefix
        self.mode = options.mode
        self.deadline = options.deadline
        self.forget_groups_after = options.forget_groups_after
        self.on_reconnect: set[Callable[[], None]] = set()
        self.on_restart: set[Callable[[], None]] = set()
        self.on_close: set[Callable[[], None]] = set()
        self.on_forbidden: set[Callable[[str, str], None]] = set()
        self._options = options
        self._opened = False
        self._connected = asyncio.Event()
        self._refused = asyncio.Event()
        self._refusal = ""
        self._requests = Requests(self.client)

    @property
    def connected(self) -> bool:
        """Whether there is a connection, and those who want to know of it have been told."""
        return self.client.is_connected and self._connected.is_set()

    @property
    def closed(self) -> str:
        """Why the connection is closed for good."""
        error = self.client.last_error
        return CLOSED if error is None else f"{CLOSED}: {told(error)}"

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Msg:
        """The server's answer. Raises NoAnswer if nothing serves the subject, ConnectionLost, Indeterminate,
        and Rejected (`forbidden`, `closed`).

        The request is on its way when this first suspends: calls made one after the other keep their order.
        """
        if self.client.is_closed:
            raise Rejected("closed", self.closed)
        with translated(subject):
            return await self._requests.ask(subject, payload, headers, timeout or self.deadline)

    async def tell(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        """Send what nobody answers; returns once the server has handled it. Raises Rejected (`closed`),
        ConnectionLost, Indeterminate. The message is on its way when this first suspends."""
        with translated(subject):
            await self._requests.tell(subject, payload, headers, self.deadline)

    async def barrier(self) -> None:
        """Wait until the server has handled what was sent before, and what it sent until then is here.

        The user has to be permitted to publish to the inbox. Raises as `tell` does.
        """
        with translated("waiting for the server"):
            await self._requests.echo(self.deadline)

    async def ready(self) -> None:
        """Wait until connected; takes as long as that takes."""
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
        # asyncio of Python 3.12 to 3.13.5 raises TypeError for what is left to write on a lost connection.
        except (nats.errors.Error, OSError, asyncio.TimeoutError, TypeError) as error:
            log.warning("closing the connection: %s", told(error))
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """The library ends its subscriptions and the socket last, so not if closing is cancelled, or fails
        on a lost connection; and a second close does nothing."""
        client = self.client
        for subscription in client._subs.values():  # noqa: SLF001 - nothing public ends them on a closed client
            subscription._stop_processing()  # noqa: SLF001
        client._subs.clear()  # noqa: SLF001
        if client._transport is not None:  # noqa: SLF001
            client._transport.close()  # type: ignore[no-untyped-call] # noqa: SLF001

    async def connect(self) -> None:
        """Raises Unreachable when no server answers in `connect_timeout` seconds, and when one refuses us."""
        opening = asyncio.ensure_future(self._open())
        refused = asyncio.ensure_future(self._refused.wait())
        try:
            await asyncio.wait(
                (opening, refused),
                timeout=self._options.connect_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if self._refused.is_set():
                raise Unreachable(f"the NATS server at {self._server} refuses us: {self._refusal}")
            await asyncio.wait_for(opening, 0)
        except (nats.errors.Error, OSError, ValueError, asyncio.TimeoutError) as error:
            reason = told(self.client.last_error or error)
            # Without the cause: what was not understood of a URL may be a part of a password.
            raise Unreachable(f"no NATS server answers at {self._server}: {reason}") from None
        finally:
            opening.cancel()
            refused.cancel()
            await asyncio.gather(opening, refused, return_exceptions=True)
        self._opened = True

    @property
    def _server(self) -> str:
        return redacted(self._url).rpartition("@")[2].rpartition("//")[2]

    async def _open(self) -> None:
        await self.client.connect(
            self._url,
            name=self._options.name,
            inbox_prefix=self._options.inbox,
            error_cb=self._note,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
            closed_cb=self._closed,
            connect_timeout=self._options.connect_timeout,  # type: ignore[arg-type] # any number of seconds
            reconnect_time_wait=RECONNECT_WAIT,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
            ping_interval=PING_INTERVAL,
            **self._given,
        )
        if self.client.is_connected:  # else the server closed it at once, and the client tries again
            self._connected.set()
        await self.ready()
        self.server = self._served_by()
        await self._requests.open()

    async def _note(self, error: Exception) -> None:
        """The client reports each lost connection and failed attempt here, and goes on by itself; so it does
        when something was forbidden. Anything else is an error of ours in a callback."""
        words = told(error)
        if not isinstance(error, (nats.errors.Error, OSError, asyncio.TimeoutError)):
            log.error("nats client: %s", told_in_full(error))
        elif (denied := forbidden(words)) is not None:
            log.info("nats server: %s", words)
            self._forbidden(*denied, words)
        elif refuses(error):
            first = self._opened and not self._refusal
            log.log(logging.WARNING if first else logging.INFO, "the NATS server refuses us: %s", words)
            self._refusal = words
            self._refused.set()
        else:
            log.info("nats client: %s", words)

    def _forbidden(self, act: str, subject: str, words: str) -> None:
        if act == "publish":
            self._requests.refused(subject)
        else:
            self._requests.deafened(subject, words)
        for tell in tuple(self.on_forbidden):
            tell(subject, words)

    async def _disconnected(self) -> None:
        self._connected.clear()
        self._requests.disconnected()

    def _served_by(self) -> str:
        return str(self.client._server_info.get("server_id", ""))  # noqa: SLF001 - nothing public tells

    async def _reconnected(self) -> None:
        self._refusal = ""
        self._connected.set()
        before, self.server = self.server, self._served_by()
        restarted = tuple(self.on_restart) if self.server != before else ()
        for call in (*restarted, *self.on_reconnect):
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
    """A link to the server at `url`. Raises InvalidOption, and Unreachable as `Link.connect` does."""
    link = Link(url, options)
    try:
        await link.connect()
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
        raise ConnectionLost(f"{act}: {told(error)}") from error
    except Forbidden as error:
        raise Rejected("forbidden", told(error)) from error
    except nats.errors.ConnectionClosedError as error:
        raise Rejected("closed", CLOSED) from error
    except (nats.errors.Error, asyncio.TimeoutError, OSError) as error:
        raise Indeterminate(f"{act}: {told(error)}") from error
