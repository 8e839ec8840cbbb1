"""Dead letters: an event that a group gave up on, as a copy that tells why (spec/deadletter.md).

The `dl` attributes are reserved for dead letters. They tell of the last failure only: an event that
already has them (a dead letter published again, which failed again) gets new ones in their place, and
its original is the event without any of them.

A dead letter keeps its `expirytime`, so who reads a dead-letter topic must not drop it by that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import quote

import msgspec

from eventproof.schemas import timestamps
from eventproof.schemas.attributes import ERROR_BYTES, FORBIDDEN
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import Event

Reason: TypeAlias = Literal["rejected", "attempts", "expired", "undecodable", "schema"]
ATTRIBUTES: Final = ("dlreason", "dlattempts", "dltime", "dltopic", "dlgroup", "dlerror")
UNDECODABLE_TYPE: Final = "dev.eventproof.message.undecodable.v1"


class DeadLetterInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Why, after how many hand-outs, when (UTC), from which topic and for which group.

    error: what `error_text` made of the failure, "" for none.
    """

    reason: Reason
    attempts: int
    time: datetime
    topic: str
    group: str
    error: str = ""


def to_dead_letter(
    event: Event, *, reason: Reason, attempts: int, topic: str, group: str, error: str, now: datetime
) -> Event:
    """The copy of `event` for a dead-letter topic; `from_dead_letter` gives `event` back exactly.

    attempts: hand-outs to the group so far, 0 if there was none. error: any text, put through
    `error_text`. now: aware. Raises InvalidEvent for values that no attribute may hold.
    """
    return event.with_extensions(
        dlreason=reason,
        dlattempts=attempts,
        dltime=now,
        dltopic=topic,
        dlgroup=group,
        dlerror=error_text(error) or None,
    )


def from_dead_letter(event: Event) -> tuple[Event, DeadLetterInfo]:
    """The original event, and what its dead letter tells. Raises InvalidEvent when it is no dead letter."""
    given = event.extensions
    for name in ATTRIBUTES:
        if name not in given and name != "dlerror":
            raise InvalidEvent(name, "is missing: this is no dead letter")
    info = DeadLetterInfo(
        reason=cast("Reason", given["dlreason"]),
        attempts=int(given["dlattempts"]),
        time=timestamps.parse("dltime", str(given["dltime"]))[0],
        topic=str(given["dltopic"]),
        group=str(given["dlgroup"]),
        error=str(given.get("dlerror", "")),
    )
    return event.without(*ATTRIBUTES), info


def undecodable(
    raw: bytes, *, topic: str, group: str, position: str, error: str, now: datetime, attempts: int = 0
) -> Event:
    """A dead letter for a message that is no event: its bytes, unchanged, as the data of a new event.

    position: where the broker stored it, unique in the topic (so with the partition, if there are any).
    Topic and position make source and id, so that writing it again after a crash gives the same identity.
    """
    found = Event(
        source=f"urn:eventproof:undecodable:{quote(topic, safe='')}",
        type=UNDECODABLE_TYPE,
        id=position,
        time=now,
        data=raw,
        datacontenttype="application/octet-stream",
    )
    return to_dead_letter(
        found, reason="undecodable", attempts=attempts, topic=topic, group=group, error=error, now=now
    )


def error_text(error: str) -> str:
    """`error` as `dlerror` carries it: white-space controls as blanks, what else no attribute may hold as
    U+FFFD, and cut to 1024 bytes of UTF-8 at a character's end."""
    clean = FORBIDDEN.sub(lambda found: " " if found[0].isspace() else "\ufffd", error)
    return clean.encode()[:ERROR_BYTES].decode(errors="ignore")
