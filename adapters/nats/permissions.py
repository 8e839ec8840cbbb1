"""The least that a NATS user has to be allowed, by what it does.

NATS matches whole tokens, and the name of a stream is one token: without topics to name, `*` stands for
every stream of the account, not only those of the prefix. Who shares an account should name the topics, or
give eventproof an account of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

from eventproof.adapters.nats import naming
from eventproof.adapters.nats.naming import CORE_PREFIX

Role = Literal["publisher", "consumer", "owner", "suite", "core-publisher", "core-consumer"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_API: Final = "$JS.API"
_CONNECT: Final = f"{_API}.INFO"  # asked before a broker is handed out


class Permissions(msgspec.Struct, frozen=True):
    """Subjects that a user may publish to and subscribe to; nothing else is needed."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def __str__(self) -> str:
        """As a user's `permissions` in the configuration file of a NATS server."""
        return f"permissions {{\n{_block('publish', self.publish)}\n{_block('subscribe', self.subscribe)}\n}}"


def permissions(
    role: Role,
    *,
    prefix: str | None = None,
    inbox: str = "_INBOX",
    topics: Sequence[str] = (),
    dead_letters: Sequence[str] = (),
) -> Permissions:
    """What a connection with this `prefix` and `inbox` needs in its role.

    role: `publisher` publishes; `consumer` subscribes, settles and writes dead letters; `owner` makes and
    removes topics; `suite` does all of this, reads logs, and looks for what is in its way. `core-publisher`
    and `core-consumer` do without JetStream.
    prefix: `eventproof` if not given, and for the two without JetStream `eventproof-core`.
    topics: the only ones it works with, all of the prefix if none is named. dead_letters: of a consumer.
    Raises Rejected (`invalid`) for a name that no topic can have.
    """
    work = _Work(
        prefix or (CORE_PREFIX if role.startswith("core") else "eventproof"),
        tuple(topics),
        tuple(dead_letters),
    )
    answers = f"{inbox}.>"
    if role == "core-publisher":  # a message to itself tells it that the server has the one before
        return _sorted([answers, *work.writing(work.topics)], [answers])
    if role == "core-consumer":
        return _sorted([answers], [answers, *work.writing(work.topics)])
    found = {
        "publisher": work.publisher,
        "consumer": work.consumer,
        "owner": work.owner,
        "suite": work.suite,
    }[role]()
    return _sorted(found, [answers])


class _Work(msgspec.Struct, frozen=True):
    """Subjects that are published to, by what is done."""

    prefix: str
    topics: tuple[str, ...]
    dead_letters: tuple[str, ...]

    def publisher(self) -> list[str]:
        return [_CONNECT, *self.writing(self.topics), *self._api("STREAM.INFO.{}", self.topics)]

    def consumer(self) -> list[str]:
        named = (*self.topics, *self.dead_letters) if self.topics else ()
        dead = self.writing(self.dead_letters) if self.dead_letters or not self.topics else []
        return [
            _CONNECT,
            *dead,
            *self._api("STREAM.INFO.{}", named),
            *self._api("CONSUMER.CREATE.{}.*", self.topics),
            *self._api("CONSUMER.INFO.{}.*", self.topics),
            *self._api("CONSUMER.MSG.NEXT.{}.*", self.topics),
            *self._settling(),
        ]

    def owner(self) -> list[str]:
        return self._api("STREAM.CREATE.{}", self.topics) + self._api("STREAM.DELETE.{}", self.topics)

    def suite(self) -> list[str]:
        return [*self.publisher(), *self.consumer(), *self.owner(), f"{_API}.STREAM.NAMES"]

    def _settling(self) -> list[str]:
        """A server with a domain puts it and the account before the stream."""
        if not self.topics:
            return ["$JS.ACK.>"]
        return [
            f"$JS.ACK.{place}{stream}.>" for stream in self._streams(self.topics) for place in ("", "*.*.")
        ]

    def writing(self, topics: tuple[str, ...]) -> list[str]:
        return [f"{naming.root(self.prefix, topic)}.>" for topic in topics] or [f"{self.prefix}.>"]

    def _api(self, call: str, topics: tuple[str, ...]) -> list[str]:
        return [f"{_API}.{call.format(stream)}" for stream in self._streams(topics)]

    def _streams(self, topics: tuple[str, ...]) -> list[str]:
        return [naming.stream(self.prefix, topic) for topic in topics] or ["*"]


def _sorted(publish: Sequence[str], subscribe: Sequence[str]) -> Permissions:
    return Permissions(tuple(sorted(set(publish))), tuple(sorted(set(subscribe))))


def _block(what: str, subjects: Sequence[str]) -> str:
    return "\n".join([f"  {what}: [", *(f'    "{subject}"' for subject in subjects), "  ]"])
