"""Core NATS as a target of the suite: nothing but the port, since there is nothing to administer or read.

It starts the server that `nats` starts; JetStream is on there and not used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from eventproof.adapters.nats.core import connect
from eventproof.adapters.nats.link import Link, open_link
from eventproof.adapters.nats.options import Options
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.conformance.targets.target import Clock

__all__ = ["CoreNatsTarget", "connect", "target"]

NAME: Final = "eventproof target"


class CoreNatsTarget:
    """The parts of `eventproof.conformance.targets.target.Target` that core NATS has."""

    clock: Clock = "real"
    tick = 0.1

    def __init__(self) -> None:
        self._link: Link | None = None

    @asynccontextmanager
    async def start(self, url: str | None) -> AsyncIterator[str]:
        """Raises MissingServer, ServerFailed, Unreachable."""
        if url is not None:
            async with self._attached(url):
                yield url
            return
        server = NatsServer()
        try:
            await server.start()
            async with self._attached(server.url):
                yield server.url
        finally:
            await server.remove()

    def versions(self) -> Mapping[str, str]:
        assert self._link is not None, "the target is used inside `start`"
        server = str(self._link.client.connected_server_version).strip("<>")
        return {"nats-server": server.rpartition(" v")[2], "nats-py": version("nats-py")}

    @asynccontextmanager
    async def _attached(self, url: str) -> AsyncIterator[None]:
        async with open_link(url.replace("nats+core://", "nats://", 1), Options(name=NAME)) as self._link:
            yield


target = CoreNatsTarget()
