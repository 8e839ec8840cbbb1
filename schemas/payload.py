"""What may be the data of an event: a JSON value, text, bytes, or nothing at all."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any, Final, TypeAlias

import msgspec

from eventproof.schemas.attributes import is_json
from eventproof.schemas.errors import InvalidEvent

MAX_DEPTH: Final = 128
"""Arrays and objects within each other. Parsers of other languages stop at 64 to 1,000."""
MAX_INTEGER_BITS: Final = 13_000
"""Integers are exact up to here; beyond it Python refuses to convert them from and to decimal."""


class Absent(Enum):
    """The type of `ABSENT`: an event without data, which is neither JSON null nor empty."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent.ABSENT
Json: TypeAlias = "dict[str, Any] | list[Any] | str | int | float | bool | None"
Data: TypeAlias = "Json | bytes | Absent"

_canonical = msgspec.json.Encoder(order="deterministic")


def own(data: object, content_type: str | None) -> Data:
    """A private copy of `data`, with tuples as lists and byte buffers as bytes.

    Raises InvalidEvent where the structured JSON format would not bring it back as it was: a value that
    JSON does not have (NaN, a date, a key that is no string), a lone surrogate, an integer or a nesting
    out of bounds, or a value other than text and bytes under a content type that is not JSON.
    """
    if data is ABSENT:
        return ABSENT
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    if not isinstance(data, str) and not is_json(content_type):
        raise InvalidEvent(
            "data", f"must be str or bytes under {content_type}, not {type(data).__name__}; serialise it"
        )
    copied: Data = _copy(data, MAX_DEPTH)
    return copied


def same(one: Data, other: Data) -> bool:
    """Equality by JSON type: True, 1 and 1.0 are three values; the order of members is none of it."""
    if isinstance(one, (bytes, Absent)) or isinstance(other, (bytes, Absent)):
        return type(one) is type(other) and one == other
    return _canonical.encode(one) == _canonical.encode(other)


def _copy(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _unicode(value)
    if kind is dict:
        return _object(value, _deeper(depth))
    if kind is list or kind is tuple:
        below = _deeper(depth)
        return [_copy(item, below) for item in value]
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return _number(value)
    raise InvalidEvent("data", f"holds a {kind.__name__}, which JSON does not have; convert it")


def _object(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    copied = {}
    for key, item in value.items():
        if type(key) is not str:
            raise InvalidEvent("data", f"has the key {key!r:.40}, which is no str; convert it")
        copied[key if key.isascii() else _unicode(key)] = _copy(item, depth)
    return copied


def _deeper(depth: int) -> int:
    if depth == 0:
        raise InvalidEvent("data", f"nests deeper than {MAX_DEPTH} levels; flatten it")
    return depth - 1


def _number(value: float) -> float:
    if isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise InvalidEvent("data", f"holds an integer over {MAX_INTEGER_BITS} bits; pass it as a string")
    elif not math.isfinite(value):
        raise InvalidEvent("data", f"holds {value}, which JSON does not have; use null or a string")
    return value


def _unicode(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as reason:
        raise InvalidEvent("data", "holds a string with a lone surrogate; remove it") from reason
    return value
