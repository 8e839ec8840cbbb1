"""From a scenario's publish step to an event, and from a delivered event back to the call."""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from eventproof.conformance.scenario import TYPES, Payload, Publish
from eventproof.schemas.event import ABSENT, Event

CALL = "eventproofcall"  # in decimal: as a text both content modes carry it
BYTES = "application/octet-stream"
DEAD_LETTER = ("dlreason", "dlattempts", "dltime", "dltopic", "dlgroup", "dlerror")
ADDED = frozenset({*DEAD_LETTER, CALL})

_NUMBER = re.compile("[1-9][0-9]{0,17}")
_encode = msgspec.json.Encoder(order="sorted").encode


def event_of(
    step: Publish,
    payload: Payload,
    *,
    source: str,
    time: datetime,
    limit: int | None,
    expires: datetime | None,
) -> Event:
    """The event of one publish call. limit: bytes that the broker takes, which `oversize` exceeds."""
    extensions: dict[str, object] = {CALL: str(step.call)}
    if step.key:
        extensions["partitionkey"] = f"key-{step.key}"
    if expires is not None:
        extensions["expirytime"] = expires
    return Event(
        source=source,
        type=TYPES[step.type],
        id=f"event-{step.event}",
        time=time,
        data=_data(payload, limit),
        datacontenttype=BYTES if payload.kind == "bytes" else None,
        extensions=extensions,
    )


def _data(payload: Payload, limit: int | None) -> Any:
    if payload.kind == "absent":
        return ABSENT
    if payload.kind == "bytes":
        return payload.raw
    if payload.kind == "json":
        return payload.json
    return "x" * (limit or 0)


def call_of(event: Event) -> int:
    """The number of the publish call that made the event; 0 if it is none of ours."""
    call = event.extensions.get(CALL)
    return int(call) if isinstance(call, str) and _NUMBER.fullmatch(call) else 0


def digest_of(event: Event) -> str:
    """A digest of the data and the typed attributes, without those of a dead letter and the call's number."""
    core = (
        event.source,
        event.id,
        event.type,
        event.timestamp,
        event.datacontenttype,
        event.dataschema,
        event.subject,
    )
    extensions = {name: value for name, value in event.extensions.items() if name not in ADDED}
    kind = "absent" if event.data is ABSENT else type(event.data).__name__
    document = _encode((core, extensions, kind, None if event.data is ABSENT else event.data))
    return blake2b(document, digest_size=8).hexdigest()
