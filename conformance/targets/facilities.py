"""What a target offers beside the port; a third party's may lack any of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec

from eventproof.adapters.port import Broker
from eventproof.conformance.history.record import LogEntry
from eventproof.conformance.targets.target import Clock
from eventproof.conformance.targets.visit import Demand, Terms, Visit

TICK = 0.25


class Facilities(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of `Target` that are there; None for one that is not. announce: told of topics before they
    are made, where nothing makes them but their use."""

    clock: Clock = "real"
    tick: float = TICK
    max_payload: int | None = None
    options: Mapping[str, Any] = {}
    start: Callable[[str | None], AbstractAsyncContextManager[str]]
    provision: Callable[..., Awaitable[None]] | None = None
    remove: Callable[[Sequence[str]], Awaitable[None]] | None = None
    idle: Callable[[str, str], Awaitable[Mapping[str, int]]] | None = None
    read_log: Callable[[str], Awaitable[Sequence[LogEntry]]] | None = None
    positions: Callable[[str, str], Awaitable[Mapping[int, str]]] | None = None
    restart: Callable[[], Awaitable[None]] | None = None
    kill: Callable[[], None] | None = None
    revive: Callable[[], Awaitable[None]] | None = None
    freeze: Callable[[], None] | None = None
    thaw: Callable[[], None] | None = None
    sever: Callable[[Broker], None] | None = None
    versions: Callable[[], Mapping[str, str]] | None = None
    visit: Callable[[Visit], AbstractAsyncContextManager[str]] | None = None
    preflight: Callable[[Visit, Demand], Awaitable[Terms]] | None = None
    present: Callable[[], Awaitable[Sequence[str]]] | None = None
    announce: Callable[[Sequence[str]], None] | None = None


def facilities(target: object) -> Facilities:
    """Read what `target` offers now; None offers nothing. Some of it is known only after its start."""
    names = [field for field in Facilities.__struct_fields__ if hasattr(target, field)]
    found: dict[str, Any] = {name: getattr(target, name) for name in names}
    return Facilities(**{"start": _unmanaged, **found})


@asynccontextmanager
async def _unmanaged(url: str | None) -> AsyncIterator[str]:
    """Nothing to start: in-process participants meet under a name of their own."""
    yield url or f"memory://{uuid4()}"
