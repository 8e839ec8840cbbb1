"""Names of ours as names of Kafka.

Topics and groups are any text; a topic of Kafka has at most 249 letters, digits, `.`, `_` and `-`. A token
keeps letters, digits and `.`, doubles `-`, and writes each other byte of the UTF-8 as `-XX`, so different
names give different tokens. No token has a `_`: Kafka refuses a topic that differs from one that is there in
`.` for `_` alone. `~` is in no token: it joins the parts of a group's name, which may have any character.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from eventproof.adapters.errors import Rejected

MAX_NAME: Final = 249  # characters of a topic; the broker keeps each partition as a folder

_SAFE = re.compile(r"[A-Za-z0-9.]+")
_UNSAFE = re.compile(rb"[^A-Za-z0-9.]")


def token(name: str) -> str:
    """A text in the characters that Kafka takes; different texts give different ones."""
    if _SAFE.fullmatch(name):
        return name
    return _UNSAFE.sub(_written, name.encode("utf-8", "surrogatepass")).decode()


def _written(byte: re.Match[bytes]) -> bytes:
    return b"--" if byte[0] == b"-" else b"-%02X" % byte[0][0]


@lru_cache(maxsize=1024)
def topic(prefix: str, name: str) -> str:
    """Name of the topic at the broker. Raises Rejected (`invalid`) for an empty or too long name."""
    return f"{prefix}.{_named('topic', name, MAX_NAME - len(prefix) - 1)}"


def group(prefix: str, topic_name: str, name: str) -> str:
    """Id of the group at the broker: one for each topic that it reads. Raises Rejected (`invalid`)."""
    return f"{topic(prefix, topic_name)}~{_named('group', name, MAX_NAME)}"


def transaction(group_id: str, partition: int) -> str:
    """Transactional id of those who dead-letter for a group on a partition."""
    return f"{group_id}~{partition}"


def _named(what: str, name: str, limit: int) -> str:
    if not name:
        raise Rejected("invalid", f"the {what} needs a name")
    encoded = token(name)
    if len(encoded) > limit:
        raise Rejected(
            "invalid", f"the {what}'s name takes {len(encoded)} bytes at the broker, at most {limit} fit"
        )
    return encoded
