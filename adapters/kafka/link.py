"""One participant's connection to Kafka: opened, asked under a deadline, closed.

A client of aiokafka has connections of its own, so a link has one for questions (`client`), and hands out
consumers and producers that are configured alike.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import aiokafka.errors as kafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

from eventproof.adapters.errors import Rejected, Unreachable
from eventproof.adapters.kafka import closing
from eventproof.adapters.kafka.errors import CLOSED, FOREIGN, retriable, told, translate, translated
from eventproof.adapters.kafka.options import Options, servers

# The library reports each try to reach a broker that is away. Who does not configure logging is not flooded.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())

R = TypeVar("R")
RETRY: Final = 0.05  # seconds between two tries of a question
# Seconds after which a question is put to another broker; it changes nothing, so that may be early.
QUESTION_TIMEOUT: Final = 2.0
# A connection that is given up while the broker stands still lets an old request be carried out after a
# newer one; so it is given up late.
REQUEST_TIMEOUT: Final = 40_000  # ms


class Link:
    """A connection and its configuration. Raises InvalidOption.

    servers: `host:port` of those to ask first. deadline, prefix, mode: as in the options.
    """

    def __init__(self, url: str, options: Options) -> None:
        self.servers = servers(url)
        self.options = options
        self.deadline = options.deadline
        self.prefix = options.prefix
        self.mode = options.mode
        self.closed = False
        patience = min(QUESTION_TIMEOUT, self.deadline / 2)
        self.client = AIOKafkaClient(**self.arguments, request_timeout_ms=round(patience * 1000))

    @property
    def arguments(self) -> dict[str, Any]:
        """What every client of aiokafka is given."""
        return {
            "bootstrap_servers": self.servers,
            "client_id": self.options.name,
            "retry_backoff_ms": round(RETRY * 1000),
        }

    def consumer(self, group_id: str | None, **more: Any) -> AIOKafkaConsumer:
        """A consumer, not started, that commits nothing by itself and reads what is committed."""
        return AIOKafkaConsumer(
            group_id=group_id,
            **self.arguments,
            **{
                "enable_auto_commit": False,
                "isolation_level": "read_committed",
                "auto_offset_reset": "none",
                "request_timeout_ms": REQUEST_TIMEOUT,
                **more,
            },
        )

    def transactional(self, transactional_id: str, **more: Any) -> AIOKafkaProducer:
        """A transactional producer, not started."""
        timeout = {"request_timeout_ms": REQUEST_TIMEOUT, **more}
        return AIOKafkaProducer(transactional_id=transactional_id, **self.arguments, **timeout)

    async def ask(self, request: Any, node: int | None = None) -> Any:
        """The answer to one request, by some broker or by that one. Raises as aiokafka does."""
        if self.closed:
            raise Rejected("closed", CLOSED)
        if node is None:
            node = self.client.get_random_node()
        return await self.client.send(node, request)

    async def answered(self, act: str, question: Callable[[], Awaitable[R]]) -> R:
        """The answer to a question, asked again until it is there. Raises Rejected (`forbidden`,
        `closed` and others), and Indeterminate past the deadline.

        question: changes nothing at the broker, and raises as aiokafka does where it failed.
        """
        end = asyncio.get_running_loop().time() + self.deadline
        while True:
            try:
                return await asyncio.wait_for(question(), end - asyncio.get_running_loop().time())
            except FOREIGN as error:
                left = end - asyncio.get_running_loop().time()
                if not retriable(error) or left <= RETRY:
                    raise translate(error, act) from error
            await asyncio.sleep(RETRY)
            await self._look_again()

    async def _look_again(self) -> None:
        """Who the brokers are may have changed."""
        await asyncio.wait((self.client.force_metadata_update(),), timeout=RETRY)

    async def within_deadline(self, act: str, steps: Awaitable[R], *, since: float | None = None) -> R:
        """A call of several steps ends in time too (ADP-003), counted from now or `since` (`loop.time()`).

        Raises Indeterminate after the deadline.
        """
        spent = 0.0 if since is None else asyncio.get_running_loop().time() - since
        with translated(act):
            return await asyncio.wait_for(steps, self.deadline - spent)

    async def connect(self) -> None:
        """Raises Unreachable when no broker answers in `connect_timeout` seconds."""
        try:
            await asyncio.wait_for(self._open(), self.options.connect_timeout)
        except (asyncio.TimeoutError, kafka.KafkaError) as error:
            raise Unreachable(
                f"no Kafka broker answers at {','.join(self.servers)}: {told(error)}"
            ) from error

    async def _open(self) -> None:
        while True:
            try:
                await self.client.bootstrap()
            except kafka.KafkaConnectionError:  # noqa: PERF203
                await asyncio.sleep(RETRY)
            else:
                return

    async def close(self) -> None:
        self.closed = True
        await closing.close(self.client)


@asynccontextmanager
async def open_link(url: str, options: Options) -> AsyncIterator[Link]:
    """A link to the brokers at `url`. Raises InvalidOption, and Unreachable as `Link.connect` does."""
    link = Link(url, options)
    try:
        await link.connect()
        yield link
    finally:
        await link.close()
