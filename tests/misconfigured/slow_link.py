"""A connection on which now and then an answer is late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

LATE = 0.15  # seconds by which the answers to the chosen publishes are held back
EVERY = 4  # the first publish of a connection, the fifth, ...
PUBLISH = b"HPUB eventproof."
CHUNK = 65536


class _Pipe:
    """Both directions of one connection."""

    def __init__(self) -> None:
        self._published = 0
        self._clear = asyncio.Event()
        self._clear.set()

    async def upwards(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await client.read(CHUNK):
            before, self._published = self._published, self._published + data.count(PUBLISH)
            if -(-before // EVERY) != -(-self._published // EVERY):
                self._clear.clear()
                asyncio.get_running_loop().call_later(LATE, self._clear.set)
            server.write(data)
            await server.drain()

    async def downwards(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await server.read(CHUNK):
            await self._clear.wait()
            client.write(data)
            await client.drain()


@asynccontextmanager
async def slow_link(url: str) -> AsyncIterator[str]:
    """The address of a slow link to the server at `url`; for one connection."""
    place = urlsplit(url)
    ended: list[asyncio.Task[None]] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(place.hostname, place.port)
        pipe = _Pipe()
        ways = [
            asyncio.ensure_future(pipe.upwards(reader, requests)),
            asyncio.ensure_future(pipe.downwards(answers, writer)),
        ]
        ended.append(asyncio.ensure_future(_closed(ways, (requests, writer))))

    async with await asyncio.start_server(accepted, "127.0.0.1", 0) as listener:
        yield f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        await asyncio.gather(*ended)


async def _closed(ways: list[asyncio.Task[None]], ends: tuple[asyncio.StreamWriter, ...]) -> None:
    """Once one way is at its end, close both."""
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    for end in ends:
        end.close()
