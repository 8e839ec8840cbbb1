"""What a CloudEvents context attribute may hold, and the forms that our profile gives the known ones.

Each function returns the value as the event keeps it, or raises InvalidEvent naming the attribute.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TypeAlias

from eventproof.schemas import timestamps, uri
from eventproof.schemas.errors import InvalidEvent

Value: TypeAlias = "bool | int | str"
CORE = frozenset(
    {"specversion", "id", "source", "type", "time", "datacontenttype", "dataschema", "subject", "data"}
)
REASONS = ("rejected", "attempts", "expired", "undecodable", "schema")
ERROR_BYTES = 1024
INTEGERS = range(-(2**31), 2**31)

_PLANES = "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
NONCHARACTERS = f"\ufdd0-\ufdef{_PLANES}"
FORBIDDEN = re.compile(rf"[\x00-\x1f\x7f-\x9f\ud800-\udfff{NONCHARACTERS}]")
_NAME = re.compile(r"[a-z0-9]{1,20}")
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105
MEDIA_TYPE = rf'^{_TOKEN}/{_TOKEN}(?: *; *{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*"))*$'
JSON_TYPE = r"^[^/;]+/(?:[^;]*\+)?[Jj][Ss][Oo][Nn] *(?:;|$)"
SEQUENCE = "^[0-9]{20}$"
TRACEPARENT = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$"
_MEDIA_TYPE, _JSON_TYPE = re.compile(MEDIA_TYPE), re.compile(JSON_TYPE)
_SEQUENCE, _TRACEPARENT = re.compile(SEQUENCE), re.compile(TRACEPARENT)


def text(name: str, value: object) -> str:
    """A string without control characters, noncharacters and lone surrogates."""
    if value.__class__ is str and value.isascii() and value.isprintable():
        return value
    if not isinstance(value, str):
        raise InvalidEvent(name, f"must be a string, not {type(value).__name__}")
    found = FORBIDDEN.search(value)
    if found:
        raise InvalidEvent(name, f"holds U+{ord(found[0]):04X} at {found.start()}; remove it")
    return str.__str__(value)


def filled(name: str, value: object) -> str:
    """A text of at least one character."""
    checked = text(name, value)
    if not checked:
        raise InvalidEvent(name, "is empty; give it a value, or leave it out if it is optional")
    return checked


def reference(name: str, value: object) -> str:
    """A non-empty URI-reference (RFC 3986)."""
    checked = filled(name, value)
    if not uri.is_reference(checked):
        raise InvalidEvent(name, f"{checked[:80]!r} is no URI-reference (RFC 3986); percent-encode it")
    return checked


def absolute(name: str, value: object) -> str:
    """A URI, with a scheme (RFC 3986)."""
    checked = filled(name, value)
    if not uri.is_uri(checked):
        raise InvalidEvent(name, f"{checked[:80]!r} is not an absolute URI; give it a scheme such as https:")
    return checked


def media_type(name: str, value: object) -> str:
    """A media type with parameters (RFC 2046), as it was written."""
    checked = filled(name, value)
    if not _is_media_type(checked):
        raise InvalidEvent(name, f"{checked[:80]!r} is not a media type such as application/json")
    return checked


@lru_cache(maxsize=256)
def _is_media_type(value: str) -> bool:
    return _MEDIA_TYPE.match(value) is not None


@lru_cache(maxsize=256)
def is_json(content_type: str | None) -> bool:
    """Whether data of this content type is JSON; so it is where none is given."""
    return content_type is None or _JSON_TYPE.match(content_type) is not None


def _timestamp(name: str, value: object) -> str:
    checked = text(name, value)
    timestamps.parse(name, checked)
    return checked


def _sequence(name: str, value: object) -> str:
    checked = text(name, value)
    if not _SEQUENCE.match(checked):
        raise InvalidEvent(name, "must be 20 decimal digits, padded with zeros")
    return checked


def _traceparent(name: str, value: object) -> str:
    checked = text(name, value)
    if not _TRACEPARENT.match(checked):
        raise InvalidEvent(name, "must be a W3C traceparent, version-traceid-parentid-flags in hex")
    return checked


def _reason(name: str, value: object) -> str:
    checked = text(name, value)
    if checked not in REASONS:
        raise InvalidEvent(name, f"must be one of {', '.join(REASONS)}")
    return checked


def _attempts(name: str, value: object) -> int:
    if type(value) is not int or value < 0 or value not in INTEGERS:
        raise InvalidEvent(name, "must be an integer from 0 to 2147483647")
    return value


def _error(name: str, value: object) -> str:
    checked = text(name, value)
    if len(checked.encode()) > ERROR_BYTES:
        raise InvalidEvent(name, f"must be at most {ERROR_BYTES} bytes of UTF-8; cut it")
    return checked


_KNOWN: Mapping[str, Callable[[str, object], Value]] = {
    "partitionkey": filled,
    "sequence": _sequence,
    "traceparent": _traceparent,
    "tracestate": text,
    "correlationid": filled,
    "causationid": filled,
    "expirytime": _timestamp,
    "dataref": reference,
    "dlreason": _reason,
    "dlattempts": _attempts,
    "dltime": _timestamp,
    "dltopic": filled,
    "dlgroup": filled,
    "dlerror": _error,
}
KNOWN = frozenset(_KNOWN)
_NONE: Mapping[str, Value] = MappingProxyType({})


def extensions(given: Mapping[str, object]) -> Mapping[str, Value]:
    """An immutable copy, canonical: bytes as base64, `datetime` as RFC 3339 in UTC, None left out."""
    if not given:
        return _NONE
    return MappingProxyType({n: _extension(n, v) for n, v in given.items() if _name(n) and v is not None})


def _name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidEvent(repr(name), "is no attribute name: use 1 to 20 of a-z and 0-9")
    if name in CORE:
        raise InvalidEvent(name, "is no extension: give it by its own argument")
    return name


def _extension(name: str, value: object) -> Value:
    if isinstance(value, datetime):
        value = timestamps.write(timestamps.utc(name, value))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        value = b64encode(value).decode()
    known = _KNOWN.get(name)
    return known(name, value) if known else _any(name, value)


def _any(name: str, value: object) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value not in INTEGERS:
            raise InvalidEvent(name, "is beyond 32 bits; pass it as a string")
        return int(value)
    if not isinstance(value, str):
        raise InvalidEvent(
            name, f"must be a boolean, a 32-bit integer or a string, not {type(value).__name__}; convert it"
        )
    return text(name, value)
