"""An event as the key, the headers and the value of a Kafka record, in either content mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from eventproof.adapters.errors import Rejected
from eventproof.schemas import binary, structured
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import Event

HEADROOM: Final = 8192  # bytes kept free for the record around an event, and for what its dead letter adds
KEY_ROOM: Final = 1024  # bytes of them for the record's key, which the event holds a second time
_CONTENT_TYPE: Final = "content-type"
_estimate = DefaultRecordBatchBuilder.estimate_size_in_bytes
_STRUCTURED: Final = [(_CONTENT_TYPE, structured.CONTENT_TYPE.encode())]


class Content(msgspec.Struct, frozen=True):
    """key: of the record, None for an event without a partition key. headers: names and values.
    value: None is no value."""

    key: bytes | None
    headers: list[tuple[str, bytes]]
    value: bytes | None


def as_structured(event: Event) -> Content:
    return Content(_key(event), _STRUCTURED, structured.encode(event))


def as_binary(event: Event) -> Content:
    """Raises Rejected (`invalid`) for what a reader would not get back as it was."""
    try:
        headers, value = binary.encode(event, binary.KAFKA)
    except InvalidEvent as reason:
        raise Rejected("invalid", f"in binary mode {reason}") from reason
    return Content(_key(event), [(name, text.encode()) for name, text in headers], value)


def encode(event: Event, mode: Literal["structured", "binary"], limit: int) -> Content:
    """Raises Rejected: `too-large` beyond `limit` bytes, `invalid` for what binary mode cannot carry.

    A dead letter of the event is structured in both modes and has to fit too. So in binary mode the limit
    holds for both forms.
    """
    if mode == "structured":
        content = as_structured(event)
        _check(len(content.value or b"") + _key_beyond(content), limit)
        return content
    content = as_binary(event)
    size = total(content)
    _check(size, limit)
    if 2 * size > limit:  # at most so large is the other form, where a text of backslashes is doubled
        _check(len(structured.encode(event)) + _key_beyond(content), limit)
    return content


def decode(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Event:
    """The event of a record in the mode that its content type says (ENV-007). Raises InvalidEvent.

    The key of the record says nothing about the event.
    """
    return binary.read(_texts(headers), value, binary.KAFKA)


def of_dead_letter(dead: Event, room: int) -> Content:
    """Structured, which has a type for each attribute; in `room` bytes each event of ours fits so.

    A large message of somebody else, whose bytes grow by a third in JSON, may fit in binary mode alone.
    """
    content = as_structured(dead)
    if total(content) <= room:
        return content
    try:
        return as_binary(dead)
    except Rejected:
        return content


def total(content: Content) -> int:
    """Bytes of the record in a batch of its own, at most: what the broker holds against its
    `message.max.bytes`."""
    record: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(
        content.key, content.value, content.headers
    )
    return record


def _key(event: Event) -> bytes | None:
    return None if event.key is None else event.key.encode()


def _key_beyond(content: Content) -> int:
    return max(0, len(content.key or b"") - KEY_ROOM)


def _texts(headers: Iterable[tuple[str, bytes | None]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        lower = name.lower()
        if lower == _CONTENT_TYPE or lower.startswith(binary.KAFKA.prefix):
            yield name, _text(lower, value)


def _text(name: str, value: bytes | None) -> str:
    attribute = name.removeprefix(binary.KAFKA.prefix).replace(_CONTENT_TYPE, "datacontenttype")
    if value is None:
        raise InvalidEvent(attribute, "comes in a header without a value")
    try:
        return value.decode()
    except UnicodeDecodeError as reason:
        raise InvalidEvent(attribute, f"{value[:80]!r} is not UTF-8: {reason.reason}") from reason


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise Rejected("too-large", f"{size} bytes encoded, the limit is {limit}")
