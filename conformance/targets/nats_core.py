"""Core NATS as a target of the suite: nothing but the port, since there is nothing to administer or read.

It starts the server that `nats` starts; JetStream is on there and not used. On a server that is not ours
nothing is made; but a stream that takes subjects of the namespace would store the events, and is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats.core import connect
from eventproof.adapters.nats.link import Link, NoAnswer, open_link
from eventproof.adapters.nats.options import Options
from eventproof.adapters.nats.options import options as parse
from eventproof.adapters.nats.permissions import Permissions, permissions
from eventproof.conformance.targets import natspreflight, natsvisit
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.conformance.targets.target import Clock
from eventproof.conformance.targets.visit import Demand, NotReady, Terms, Visit

__all__ = ["CoreNatsTarget", "connect", "target"]

NAME: Final = "eventproof target"
OWN: Final = Options(name=NAME)
TICK: Final = 0.1


class CoreNatsTarget:
    """The parts of `eventproof.conformance.targets.target.Target` that core NATS has."""

    clock: Clock = "real"

    def __init__(self) -> None:
        self.tick = TICK
        self.options: Mapping[str, Any] = {}
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

    @asynccontextmanager
    async def visit(self, visit: Visit) -> AsyncIterator[str]:
        """Raises Unreachable, InvalidOption."""
        options = natsvisit.options(visit)
        async with self._attached(visit.url, parse({"name": NAME, **options})) as link:
            self.options, self.tick = options, await natsvisit.tick(TICK, link.barrier)
            try:
                yield visit.url
            finally:
                self.options, self.tick = {}, TICK

    async def preflight(self, visit: Visit, demand: Demand) -> Terms:  # noqa: ARG002 - nothing is stored
        """Raises NotReady if a stream would store what is published, or nobody may know."""
        inbox = self.options["inbox"]
        try:
            found = await natspreflight.overlapping(self._attached_link)
            natspreflight.check_subjects(visit.namespace, found)
        except NoAnswer:  # no JetStream, no streams
            pass
        except Rejected as refused:
            raise NotReady(f"{refused}: allow it, since a stream might store what is published") from refused
        return Terms(
            at_once=visit.caps.at_once,
            creates=("nothing that is stored", f"subjects {visit.namespace}.>", f"answers on {inbox}.>"),
            permissions=str(_permitted(visit.namespace, inbox)),
        )

    async def remove(self, topics: Sequence[str]) -> None:
        """There is nothing of a topic but what is on its way."""

    async def present(self) -> Sequence[str]:
        return []

    def versions(self) -> Mapping[str, str]:
        server = str(self._attached_link.client.connected_server_version).strip("<>")
        return {"nats-server": server.rpartition(" v")[2], "nats-py": version("nats-py")}

    @property
    def _attached_link(self) -> Link:
        assert self._link is not None, "the target is used inside `start`"
        return self._link

    @asynccontextmanager
    async def _attached(self, url: str, options: Options = OWN) -> AsyncIterator[Link]:
        async with open_link(url.replace("nats+core://", "nats://", 1), options) as link:
            self._link = link
            try:
                yield link
            finally:
                self._link = None


def _permitted(prefix: str, inbox: str) -> Permissions:
    """Of a user that publishes and subscribes, and looks for streams that are in the way."""
    one, other = (permissions(r, prefix=prefix, inbox=inbox) for r in ("core-publisher", "core-consumer"))
    publish = {*one.publish, *other.publish, natspreflight.NAMES}
    return Permissions(tuple(sorted(publish)), tuple(sorted({*one.subscribe, *other.subscribe})))


target = CoreNatsTarget()
