"""Find an adapter by URL scheme, through the entry-point group `eventproof.adapters`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol
from urllib.parse import urlsplit

from eventproof.adapters.errors import EventproofError
from eventproof.adapters.port import Broker

GROUP = "eventproof.adapters"


class Connect(Protocol):
    """What an adapter's entry point names: opens one participant's connection."""

    def __call__(self, url: str, **options: Any) -> AbstractAsyncContextManager[Broker]: ...


class UnknownAdapter(EventproofError):
    """No installed adapter serves the URL, or the client library that it needs is missing."""


def connect(url: str, **options: Any) -> AbstractAsyncContextManager[Broker]:
    """`async with connect("nats://127.0.0.1:4222") as broker:`; the scheme picks the adapter.

    Raises UnknownAdapter when none is installed for the scheme, or its client library is missing.
    """
    return load(urlsplit(url).scheme)(url, **options)


def load(scheme: str) -> Connect:
    """The adapter installed for a URL scheme."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    if scheme not in found:
        known = ", ".join(sorted(found))
        raise UnknownAdapter(f"no adapter for {scheme or 'an empty'} URL scheme; installed: {known}")
    return _load(found[scheme])


def _load(point: EntryPoint) -> Connect:
    try:
        adapter: Connect = point.load()
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("eventproof"):
            raise
        ours = point.module.startswith("eventproof.")
        cure = f": pip install 'eventproof[{point.module.split('.')[2]}]'" if ours else ""
        needs = f"the {point.name} adapter needs the Python module {missing.name}"
        raise UnknownAdapter(f"{needs}{cure}") from missing
    return adapter
