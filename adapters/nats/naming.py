"""Names of ours as names of NATS.

Topics, groups, keys and types are any text; NATS takes blank-free tokens, in which `.`, `*` and `>` have
a meaning. A token keeps letters, digits, `_` and `-`, and writes each other byte of the UTF-8 as `=XX`, so
different names give different tokens. `~` is in no token: it joins two of them and marks what is none.

An event is published to `<prefix>.<topic>.<key>.<type...>`; the stream puts the key's partition before
the key. A type keeps its dots, so a filter on types is one on subjects.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from eventproof.adapters.errors import Rejected
from eventproof.schemas.event import Event

# Of core NATS. Not JetStream's: a stream stores all that is published below its own prefix.
CORE_PREFIX: Final = "eventproof-core"
MAX_NAME: Final = 200  # bytes of a stream's or consumer's name: the server keeps each as a folder (255)
MAX_TYPE: Final = 1500  # bytes: subject and reply together must stay below the protocol line (4096)
MAX_KEY: Final = 100

_SAFE = re.compile(r"[A-Za-z0-9_-]+")
_UNSAFE = re.compile(rb"[^A-Za-z0-9_-]")


def token(name: str) -> str:
    """One NATS token for any text, `~` for none."""
    if _SAFE.fullmatch(name):
        return name
    encoded = _UNSAFE.sub(lambda byte: b"=%02X" % byte[0][0], name.encode("utf-8", "surrogatepass"))
    return encoded.decode() or "~"


@lru_cache(maxsize=1024)
def stream(prefix: str, topic: str) -> str:
    """Name of the topic's stream. Raises Rejected (`invalid`) for an empty or too long topic."""
    return f"{prefix}~{_named('topic', topic, MAX_NAME - len(prefix) - 1)}"


@lru_cache(maxsize=1024)
def root(prefix: str, topic: str) -> str:
    """What all subjects of the topic begin with. Raises as `stream` does."""
    return f"{prefix}.{stream(prefix, topic).partition('~')[2]}"


def durable(group: str, partition: int) -> str:
    """Name of the group's consumer of one partition. Raises Rejected (`invalid`)."""
    return f"{_named('group', group, MAX_NAME - 5)}~{partition}"


def subject(prefix: str, topic: str, event: Event) -> str:
    """Where the event is published. Raises Rejected (`invalid`) if a name does not fit."""
    return f"{root(prefix, topic)}.{_lane(event)}.{types(event.type)}"


def transform(prefix: str, topic: str, partitions: int) -> dict[str, str]:
    """The stream's subject transform; equal keys are in one partition."""
    start = root(prefix, topic)
    return {"src": f"{start}.*.>", "dest": f"{start}.{{{{partition({partitions},1)}}}}.{{{{wildcard(1)}}}}.>"}


def queue(group: str) -> str:
    """Name of the group among those who subscribe to a subject. Raises Rejected (`invalid`)."""
    return _named("group", group, MAX_NAME)


def filters(prefix: str, topic: str, partition: int | None, wanted: tuple[str, ...]) -> list[str]:
    """Subjects of one partition, or as published (None), with the wanted types; none overlaps another,
    which the server refuses."""
    start = root(prefix, topic) if partition is None else f"{root(prefix, topic)}.{partition}"
    if not wanted:
        return [f"{start}.>"]
    return [
        f"{start}.*.{_filter(pattern)}" for pattern in dict.fromkeys(wanted) if not _covered(pattern, wanted)
    ]


@lru_cache(maxsize=4096)
def types(event_type: str) -> str:
    """A type as tokens, one for each part between its dots."""
    tokens = ".".join(token(part) for part in event_type.split("."))
    if len(tokens) > MAX_TYPE:
        raise Rejected("invalid", f"the type takes {len(tokens)} bytes in a subject, at most {MAX_TYPE} fit")
    return tokens


def _lane(event: Event) -> str:
    """The token whose hash is the partition: the key; without one the identity, so that events spread."""
    key = event.key
    if key is None:
        return _digest(event.identity)
    encoded = token(key)
    return encoded if len(encoded) <= MAX_KEY else _digest(key)


def _digest(text: str) -> str:
    return f"~{blake2b(text.encode(), digest_size=8).hexdigest()}"


def _named(what: str, name: str, limit: int) -> str:
    if not name:
        raise Rejected("invalid", f"the {what} needs a name")
    encoded = token(name)
    if len(encoded) > limit:
        raise Rejected(
            "invalid", f"the {what}'s name takes {len(encoded)} bytes at the server, at most {limit} fit"
        )
    return encoded


def _filter(pattern: str) -> str:
    return f"{types(pattern[:-2])}.>" if pattern.endswith(".*") else types(pattern)


def _covered(pattern: str, wanted: tuple[str, ...]) -> bool:
    start = pattern[:-1] if pattern.endswith(".*") else pattern
    return any(other != pattern and other.endswith(".*") and start.startswith(other[:-1]) for other in wanted)
