"""A run on a server that is not ours: where it is, under which names, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from eventproof.adapters.errors import EventproofError
from eventproof.conformance.targets.namespace import check


class NotReady(EventproofError):
    """The server cannot take the run as it is planned; the message says in one sentence what to do."""


class Caps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run asks of the server at most.

    at_once: scenarios side by side. rate: events published within any second. max_bytes: what all
    scenarios together may store. max_duration: seconds after which no further scenario begins.
    large: whether events beyond the payload limit are published.
    """

    at_once: int = 16
    rate: int = 500
    max_bytes: int = 64 << 20
    max_duration: float = 900.0
    large: bool = False


class Demand(msgspec.Struct, frozen=True):
    """What one scenario has on the server at most. lanes: partitions, once for each group that reads them.
    crowd: lanes of the topic that has most."""

    topics: int
    lanes: int
    crowd: int


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a preflight found.

    at_once: scenarios that fit side by side. notes: what was made smaller, and why. creates: what will be on
    the server, a line each. permissions: the least that the run needs, as the server is configured.
    """

    at_once: int
    notes: tuple[str, ...] = ()
    creates: tuple[str, ...] = ()
    permissions: str = ""


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A run on somebody's server. Every name that it makes there begins with the namespace.

    url: may hold a password; it is connected to and never written. options: the adapter's, as given.
    Raises ValueError for a namespace that is none.
    """

    url: str
    namespace: str
    caps: Caps = Caps()
    options: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        check(self.namespace)
