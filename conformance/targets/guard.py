"""The one place that lets topics be made and removed on a server that is not ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from eventproof.adapters.errors import EventproofError
from eventproof.conformance.manifest import Header, Manifest
from eventproof.conformance.targets.facilities import Facilities
from eventproof.conformance.targets.namespace import owns


class OutsideNamespace(EventproofError):
    """A topic that is not the run's own was to be made or removed; nothing was done."""


class LeftBehind(EventproofError):
    """Not everything could be removed; the message says how to do it later."""


class Guard:
    """`provision` and `remove` of a target, for the topics of one namespace alone.

    What is made is in the manifest before it is made.
    """

    def __init__(self, offered: Facilities, owner: str, manifest: Manifest) -> None:
        self._offered = offered
        self._owner = owner
        self._manifest = manifest
        self._made: set[str] = set()

    async def provision(self, topic: str, *, partitions: int, window: float | None) -> None:
        """Raises OutsideNamespace, and what the target raises."""
        assert self._offered.provision is not None
        self.announce([topic])
        await self._offered.provision(topic, partitions=partitions, window=window)

    def announce(self, topics: Sequence[str]) -> None:
        """These topics are about to be made, by us or by being used. Raises OutsideNamespace."""
        check(self._owner, topics)
        self._manifest.topics(topics)
        self._made.update(topics)

    async def remove(self, topics: Sequence[str]) -> None:
        """Raises OutsideNamespace, and what the target raises."""
        assert self._offered.remove is not None
        check(self._owner, topics)
        await self._offered.remove(topics)
        self._made.difference_update(topics)

    async def remove_all(self) -> None:
        """Remove what is left, if the target can. Raises LeftBehind if it cannot now."""
        if self._offered.remove is None:
            return
        try:
            if self._made:
                await self.remove(sorted(self._made))
            if left := await self._present():  # a create that was cancelled may come after the removal
                await self.remove(sorted(left))
                left = await self._present()
        except EventproofError as problem:
            raise LeftBehind(self._told(len(self._made), f" ({problem})")) from problem
        if left:
            raise LeftBehind(self._told(len(left), ""))
        self._manifest.end()

    async def _present(self) -> list[str]:
        """Topics of the namespace that are there, as far as the target can tell."""
        return list(await self._offered.present()) if self._offered.present else []

    def _told(self, count: int, why: str) -> str:
        left = f"{count} topic{'s' * (count != 1)} may be left on the server{why}"
        return f"{left}: eventproof cleanup {self._manifest.path}"


def check(namespace: str, topics: Sequence[str]) -> None:
    """Raises OutsideNamespace if one of the topics is not of the namespace."""
    for topic in topics:
        if not owns(namespace, topic):
            raise OutsideNamespace(f"{topic} is outside of the namespace {namespace}")


@asynccontextmanager
async def guarded(offered: Facilities, header: Header, manifest: Manifest) -> AsyncIterator[Facilities]:
    """The facilities of a run on a server that is not ours; in the end nothing of it is left.

    Raises InvalidManifest, LeftBehind.
    """
    manifest.begin(header)
    guard = Guard(offered, header.namespace, manifest)
    try:
        yield msgspec.structs.replace(
            offered,
            provision=guard.provision if offered.provision else None,
            remove=guard.remove if offered.remove else None,
            announce=guard.announce,
            restart=None,
            kill=None,
            revive=None,
            freeze=None,
            thaw=None,
        )
    finally:
        await guard.remove_all()
