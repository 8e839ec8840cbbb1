"""Make and remove topics: for service authors (by URL) and for the suite (by link); no part of the port."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import api, naming
from eventproof.adapters.nats.claims import WINDOW
from eventproof.adapters.nats.link import Link, open_link
from eventproof.adapters.nats.options import options as parse

PARTITIONS: Final = "eventproof.partitions"  # key in the stream's metadata
SHORTEST: Final = 0.1  # seconds that a server accepts as retention or window
MAX_REPLICAS: Final = 5


class Topic(msgspec.Struct, frozen=True):
    """A provisioned topic."""

    name: str
    stream: str
    partitions: int


async def provision(
    url: str,
    topic: str,
    *,
    partitions: int = 8,
    retention: float | None = None,
    window: float | None = None,
    replicas: int = 1,
    **options: Any,
) -> Topic:
    """Create a topic as `create` does. options: those of `connect`."""
    async with open_link(url, parse(options)) as link:
        return await create(
            link, topic, partitions=partitions, retention=retention, window=window, replicas=replicas
        )


async def remove(url: str, topic: str, **options: Any) -> None:
    """Delete a topic with its events and groups; nothing happens if there is none."""
    async with open_link(url, parse(options)) as link:
        await delete(link, topic)


async def find(link: Link, topic: str) -> Topic:
    """A provisioned topic. Raises Rejected (`no-topic`; `conflict` if its stream is not one of ours)."""
    stream = naming.stream(link.prefix, topic)
    count = (await api.stream_info(link, stream)).config.metadata.get(PARTITIONS)
    if count is None:
        raise Rejected("conflict", f"stream {stream} was not made by eventproof")
    return Topic(topic, stream, int(count))


async def create(
    link: Link,
    topic: str,
    *,
    partitions: int,
    retention: float | None = None,
    window: float | None = None,
    replicas: int = 1,
) -> Topic:
    """Create a topic, or find it as it should be.

    partitions: lanes in which events are settled in order; fixed for the topic's life.
    retention: seconds that events are kept, settled or not; None for ever.
    window: seconds of publish deduplication, at most `retention`; by default 120, or less if that is.
    replicas: servers of a cluster that keep the topic, 1 to 5.
    Raises Rejected (`invalid`; `conflict` if it exists with another configuration: it is never changed).
    """
    _check(partitions, retention, window, replicas)
    stream = naming.stream(link.prefix, topic)
    config = {
        "name": stream,
        "subjects": [f"{naming.root(link.prefix, topic)}.>"],
        "subject_transform": naming.transform(link.prefix, topic, partitions),
        "retention": "limits",
        # A full topic refuses: dropping its oldest events would lose what some group has not seen.
        "discard": "new",
        "storage": "file",
        "num_replicas": replicas,
        "max_age": _nanoseconds(retention or 0),
        "duplicate_window": _nanoseconds(min(WINDOW, retention or WINDOW) if window is None else window),
        "allow_direct": True,
        "metadata": {PARTITIONS: str(partitions)},
    }
    await api.call(link, f"STREAM.CREATE.{stream}", api.StreamInfo, config)
    return Topic(topic, stream, partitions)


def _check(partitions: int, retention: float | None, window: float | None, replicas: int) -> None:
    wrong = {
        f"a topic has 1 partition or more, not {partitions}": partitions < 1,
        f"a topic is kept by 1 to {MAX_REPLICAS} servers, not {replicas}": not 1 <= replicas <= MAX_REPLICAS,
        f"retention is {SHORTEST} s or more, or None for ever, not {retention}": not _long(retention),
        f"the window is {SHORTEST} s or more, or None for the default, not {window}": not _long(window),
        f"the window of {window} s is longer than the retention of {retention} s": (window or 0)
        > (retention or math.inf),
    }
    for problem, found in wrong.items():
        if found:
            raise Rejected("invalid", problem)


def _long(seconds: float | None) -> bool:
    return seconds is None or SHORTEST <= seconds < math.inf


def _nanoseconds(seconds: float) -> int:
    return round(seconds * api.NANOSECONDS)


async def delete(link: Link, topic: str) -> None:
    """Delete a topic with its events and groups; nothing happens if there is none."""
    try:
        await api.call(link, f"STREAM.DELETE.{naming.stream(link.prefix, topic)}", api.Reply)
    except Rejected as refused:
        if refused.kind != "no-topic":
            raise
