"""The structured JSON form of an event: `application/cloudevents+json` (CloudEvents JSON format 1.0).

Parsing rejects and never invents: a missing id or time is an error, a member named twice is an error.
An attribute of JSON null is unset. `data` of JSON null is the value null, no `data` at all is ABSENT, and
bytes travel as `data_base64`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any, Final

import msgspec

from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import ABSENT, SPECVERSION, Event

CONTENT_TYPE: Final = "application/cloudevents+json"
_REQUIRED = ("id", "source", "type", "time")
_OPTIONAL = ("datacontenttype", "dataschema", "subject")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
# In valid JSON each member has one quote, blank and colon run outside strings; inside a string there can
# be more of them, so the first pattern never counts too few, and without strings the count is exact.
_MAYBE_MEMBER = re.compile(rb'"[ \t\r\n]*:')
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


def is_structured(content_type: str) -> bool:
    """Whether a content type is that of this form, in any case and with any parameters."""
    return content_type.partition(";")[0].strip().lower() == CONTENT_TYPE


def encode(event: Event) -> bytes:
    """The event in UTF-8 JSON: attributes in a fixed order, extensions as given, the data last."""
    document: dict[str, Any] = {
        "specversion": SPECVERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.timestamp,
    }
    for name in _OPTIONAL:
        value = getattr(event, name)
        if value is not None:
            document[name] = value
    document.update(event.extensions)
    data = event.data
    if isinstance(data, bytes):
        document["data_base64"] = b64encode(data).decode()
    elif data is not ABSENT:
        document["data"] = data
    return _encode(document)


def decode(data: bytes) -> Event:
    """The event that `encode`, or any other writer of this form, put into `data`.

    Raises InvalidEvent for whatever the form or our profile does not allow, and for nothing else that
    `data` may hold; it names the attribute where one is at fault.
    """
    document = _parse(data)
    if document.pop("specversion", None) != SPECVERSION:
        raise InvalidEvent("specversion", f"must be {SPECVERSION!r}")
    payload = _payload(document)
    core = {name: document.pop(name, None) for name in (*_REQUIRED, *_OPTIONAL)}
    for name in _REQUIRED:
        if core[name] is None:
            raise InvalidEvent(name, "is missing")
    return Event(**core, data=payload, extensions=document)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        document = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as reason:
        raise InvalidEvent(None, f"no JSON text: {reason}") from reason
    except RecursionError as reason:
        raise InvalidEvent(None, "JSON nested too deeply to be read") from reason
    if not isinstance(document, dict):
        raise InvalidEvent(None, f"a JSON object is needed, not {type(document).__name__}")
    _check_members_are_unique(document, data)
    return document


def _check_members_are_unique(document: dict[str, Any], data: bytes) -> None:
    """The parser keeps the last of several members of one name, so a duplicate shows in their number."""
    kept = _members(document)
    if kept != len(_MAYBE_MEMBER.findall(data)) and kept != _STRING.sub(b"", data).count(b":"):
        raise InvalidEvent(None, "a JSON object names a member twice")


def _members(document: dict[str, Any]) -> int:
    found = 0
    open_values: list[Any] = [document]
    while open_values:
        value = open_values.pop()
        if type(value) is dict:
            found += len(value)
            open_values.extend(value.values())
        elif type(value) is list:
            open_values.extend(value)
    return found


def _payload(document: dict[str, Any]) -> Any:
    if "data_base64" not in document:
        return document.pop("data", ABSENT)
    if "data" in document:
        raise InvalidEvent("data", "and data_base64 exclude each other")
    encoded = document.pop("data_base64")
    if isinstance(encoded, str) and encoded.isascii():
        raw = _from_base64(encoded)
        if raw is not None:
            return raw
    raise InvalidEvent("data_base64", "must be a string of padded base64 (RFC 4648, section 4)")


def _from_base64(encoded: str) -> bytes | None:
    try:
        raw = b64decode(encoded)
    except ValueError:
        return None
    # The library skips foreign characters and stray bits: only the canonical text is taken.
    return raw if b64encode(raw).decode() == encoded else None
