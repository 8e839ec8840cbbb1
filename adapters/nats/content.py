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


def encode(event: Event, mode: Literal["structured", "binary"], limit: int) -> Content:
    """Raises Rejected: `too-large` beyond `limit` bytes, `invalid` for what binary mode cannot carry.

    A dead letter of the event is structured in both modes and has to fit too. So in binary mode the limit
    holds for both forms.
    """
    if mode == "structured":
        content = as_structured(event)
        _check(len(content.body), limit)
        return content
    try:
        headers, body = binary.encode(event, binary.NATS)
    except InvalidEvent as reason:
        raise Rejected("invalid", f"binary mode: {reason}") from reason
    content = Content(dict(headers), body or b"")
    size = total(content.headers, content.body)
    _check(size, limit)
    if 2 * size > limit:  # at most so large is the other form, where a text of backslashes is doubled
        _check(len(structured.encode(event)), limit)
    return content


def total(headers: Mapping[str, str], body: bytes) -> int:
    """Bytes that the server counts against its `max_payload`."""
    written = sum(len(name) + len(value) + _PER_HEADER for name, value in headers.items())
    return _PREAMBLE + written + len(body)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise Rejected("too-large", f"{size} bytes encoded, the limit is {limit}")
