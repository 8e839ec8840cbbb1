"""A TCP proxy on the loopback interface: a real server, further away or with another greeting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

CHUNK = 65536


def unchanged(data: bytes) -> bytes:
    return data


@asynccontextmanager
async def proxy(
    url: str, *, delay: float = 0.0, answers: Callable[[bytes], bytes] = unchanged
) -> AsyncIterator[str]:
    """The URL of a way to the server at `url`. delay: seconds each way. answers: changes what it sends."""
    place = urlsplit(url)
    pipes: list[asyncio.Task[None]] = []
    ends: list[asyncio.StreamWriter] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(place.hostname, place.port)
        for source, sink, change in ((reader, forth, unchanged), (back, writer, answers)):
            pipes.append(asyncio.ensure_future(_pipe(source, sink, change, delay)))
            ends.append(sink)

    async with await asyncio.start_server(accepted, "127.0.0.1", 0) as listener:
        yield f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)
        for end in ends:
            end.close()
        await asyncio.gather(*(end.wait_closed() for end in ends), return_exceptions=True)


async def _pipe(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    change: Callable[[bytes], bytes],
    delay: float,
) -> None:
    """Hand each piece on in its order, `delay` seconds after it came."""
    loop = asyncio.get_running_loop()
    while data := await source.read(CHUNK):
        loop.call_later(delay, sink.write, change(data))
    loop.call_later(delay, sink.close)
