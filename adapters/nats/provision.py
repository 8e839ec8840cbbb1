"""Make and remove topics: for service authors (by URL) and for the suite (by link); no part of the port."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import api, naming
from eventproof.adapters.nats.claims import WINDOW
from eventproof.adapters.nats.link import Link, open_link
from eventproof.adapters.nats.options import options as parse

PARTITIONS: Final = "eventproof.partitions"  # key in the stream's metadata


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
    window: float | None = None,
    max_age: float | None = None,
    replicas: int = 1,
    **options: Any,
) -> Topic:
    """Create a topic as `create` does. options: those of `connect`."""
    async with open_link(url, parse(options)) as link:
        return await create(
            link, topic, partitions=partitions, window=window, max_age=max_age, replicas=replicas
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
    window: float | None = None,
    max_age: float | None = None,
    replicas: int = 1,
) -> Topic:
    """Create a topic, or find it as it should be.

    partitions: lanes in which events are settled in order; fixed for the topic's life.
    window: seconds of publish deduplication, 120 by default; at most `max_age`.
    max_age: seconds that events are kept, None for ever. replicas: servers of a cluster that keep the topic.
    Raises Rejected (`conflict` if the topic exists with another configuration: it is never changed).
    """
    if partitions < 1:
        raise Rejected("invalid", "a topic has 1 partition or more")
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
        "max_age": round((max_age or 0) * api.NANOSECONDS),
        "duplicate_window": round((WINDOW if window is None else window) * api.NANOSECONDS),
        "allow_direct": True,
        "metadata": {PARTITIONS: str(partitions)},
    }
    await api.call(link, f"STREAM.CREATE.{stream}", api.StreamInfo, config)
    return Topic(topic, stream, partitions)


async def delete(link: Link, topic: str) -> None:
    """Delete a topic with its events and groups; nothing happens if there is none."""
    try:
        await api.call(link, f"STREAM.DELETE.{naming.stream(link.prefix, topic)}", api.Reply)
    except Rejected as refused:
        if refused.kind != "no-topic":
            raise
