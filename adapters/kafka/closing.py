"""Ending a client of aiokafka in bounded time, with no task and no socket left.

The library's own closing waits for answers, and for what is still to be written, also from a broker that is
gone or stands still: for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient

from eventproof.adapters.kafka.errors import FOREIGN, told

log = logging.getLogger("eventproof.adapters.kafka")
PATIENCE: Final = 0.5  # seconds for a clean end of each connection


async def close(client: AIOKafkaClient) -> None:
    """Close a client's connections and its task."""
    await _end(client, client.close())


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Close a consumer's connections and its tasks."""
    client = consumer._client  # noqa: SLF001 - nothing public tells
    await _end(client, consumer.stop())
    if client._sync_task is not None:  # noqa: SLF001
        await _end(client, client.close())  # which stopping did not come to


async def _end(client: AIOKafkaClient, act: Coroutine[Any, Any, None]) -> None:
    transports = _transports(client)
    ending = asyncio.ensure_future(act)
    try:
        await asyncio.wait((ending,), timeout=PATIENCE)
    finally:
        for transport in transports:
            transport.abort()  # does nothing to one that is closed
    ended, _ = await asyncio.wait((ending,), timeout=PATIENCE)
    ending.cancel()
    (error,) = await asyncio.gather(ending, return_exceptions=True)
    if not ended:
        log.warning("closing a connection takes too long")
    elif isinstance(error, FOREIGN):
        log.warning("closing a connection: %s", told(error))
    elif isinstance(error, Exception):  # a cancellation is the library's own: of a task that it waited for
        raise error


def _transports(client: AIOKafkaClient) -> list[asyncio.WriteTransport]:
    connections: list[Any] = list(client._conns.values())  # noqa: SLF001 - nothing public tells
    writers = [connection._writer for connection in connections]  # noqa: SLF001
    return [writer.transport for writer in writers if writer is not None]


async def to_the_end(act: Coroutine[Any, Any, None]) -> None:
    """Carry out what ends in bounded time, also if its caller is cancelled meanwhile."""
    carrying_out = asyncio.ensure_future(act)
    try:
        await asyncio.shield(carrying_out)
    except asyncio.CancelledError:
        await asyncio.wait((carrying_out,))
        raise
