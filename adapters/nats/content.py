"""An event as the headers and the body of a NATS message, in either content mode, and how large that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from eventproof.adapters.errors import Rejected
from eventproof.schemas import binary, structured
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import Event

HEADROOM: Final = 8192  # bytes kept free for other headers, and for what a dead letter adds to an event
_PREAMBLE: Final = len("NATS/1.0\r\n\r\n")
_PER_HEADER: Final = len(": \r\n")
_STRUCTURED: Final = {"Content-Type": structured.CONTENT_TYPE}


class Content(msgspec.Struct, frozen=True):
    """headers: names as written to ASCII values."""

    headers: Mapping[str, str]
    body: bytes


def as_structured(event: Event) -> Content:
    return Content(_STRUCTURED, structured.encode(event))


def as_binary(event: Event) -> Content:
    """Raises Rejected (`invalid`) for what a reader would not get back as it was."""
    try:
        headers, body = binary.encode(event, binary.NATS)
    except InvalidEvent as reason:
        raise Rejected("invalid", f"in binary mode {reason}") from reason
    return Content(dict(headers), body or b"")


def encode(event: Event, mode: Literal["structured", "binary"], limit: int) -> Content:
    """Raises Rejected: `too-large` beyond `limit` bytes, `invalid` for what binary mode cannot carry.

    A dead letter of the event is structured in both modes and has to fit too. So in binary mode the limit
    holds for both forms.
    """
    if mode == "structured":
        content = as_structured(event)
        _check(len(content.body), limit)
        return content
    content = as_binary(event)
    size = total(content.headers, content.body)
    _check(size, limit)
    if 2 * size > limit:  # at most so large is the other form, where a text of backslashes is doubled
        _check(len(structured.encode(event)), limit)
    return content


def decode(headers: Mapping[str, str] | None, body: bytes) -> Event:
    """The event of a message in the mode that its content type says (ENV-007). Raises InvalidEvent."""
    return binary.read((headers or {}).items(), body, binary.NATS)


def of_dead_letter(dead: Event, room: int) -> Content:
    """Structured, which has a type for each attribute; in `room` bytes each event of ours fits so.

    A large message of somebody else, whose bytes grow by a third in JSON, may fit in binary mode alone.
    """
    content = as_structured(dead)
    if total(content.headers, content.body) <= room:
        return content
    try:
        return as_binary(dead)
    except Rejected:
        return content


def total(headers: Mapping[str, str], body: bytes) -> int:
    """Bytes that the server counts against its `max_payload`."""
    return _PREAMBLE + sum(map(line, headers, headers.values())) + len(body)


def line(name: str, value: str) -> int:
    """Bytes of one header."""
    return len(name) + len(value) + _PER_HEADER


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise Rejected("too-large", f"{size} bytes encoded, the limit is {limit}")
