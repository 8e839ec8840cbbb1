"""Binary content mode: attributes as headers, the data alone as the body (CloudEvents 1.0 bindings).

The content type of a message alone decides how it is read: `application/cloudevents...` is structured mode,
anything else, and none at all, is binary mode (ENV-007). A header is text and a body is bytes, so not every
event fits; `encode` refuses one that `decode` would not give back as it was (ENV-005). Structured mode takes
them all.

Attributes. Each is one header in its canonical text. Header names compare without regard to case. What has
no type in a header gets it from the profile: `dlattempts` is an integer, every other attribute is a string.
So a boolean or an integer under any other name is refused, and the text `42` stays a text.

Data. The content type gives its form:

| datacontenttype    | data       | body                                              |
|--------------------|------------|---------------------------------------------------|
| JSON, or unset     | JSON value | its text in UTF-8: `null` is null, `""` is empty  |
| JSON, or unset     | ABSENT     | no value; empty where a broker has no such thing  |
| any other          | bytes      | the bytes, none or more                           |
| any other          | ABSENT     | no value; refused where a broker has no such thing |

Refused: bytes under a JSON content type, which would come back as a JSON value, and text (str) under any
other, which would come back as bytes. `datacontenttype` is written if it is set, and never filled in.
On Kafka no value is a tombstone: compaction removes such an event, and all earlier ones of its key.

Percent-encoding, where a broker's headers are not safe for all text, is that of the CloudEvents HTTP
binding: blank, `"`, `%` and everything outside U+0021 to U+007E, as bytes of UTF-8. A value that holds one of
these as it is, a broken sequence or bytes that are not UTF-8 is refused: clients trim blanks and put them for
newlines, and readers differ on quotes, so nobody can tell any more what was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from eventproof.schemas import structured
from eventproof.schemas.attributes import Value, is_json
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import ABSENT, SPECVERSION, Event

_REQUIRED = ("id", "source", "type", "time")
_OPTIONAL = ("datacontenttype", "dataschema", "subject")
_CLOUDEVENTS = "application/cloudevents"
_INTEGERS = frozenset({"dlattempts"})
_INTEGER = re.compile("0|[1-9][0-9]{0,9}")
_AS_IT_IS = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_ENCODED = re.compile(r"(?:[!#$&-~]|%[0-9A-Fa-f]{2})*")


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """How a broker's messages carry an event in binary mode.

    prefix: of the header of an attribute, lower case. datacontenttype: the whole name of the header that
    carries this one, lower case. percent_encoded: whether values are. null_value: whether a message
    without a value differs from one with an empty value.
    """

    prefix: str
    datacontenttype: str
    percent_encoded: bool
    null_value: bool


NATS: Final = Mapping(
    prefix="ce-", datacontenttype="ce-datacontenttype", percent_encoded=True, null_value=False
)
KAFKA: Final = Mapping(prefix="ce_", datacontenttype="content-type", percent_encoded=False, null_value=True)


def encode(event: Event, mapping: Mapping) -> tuple[list[tuple[str, str]], bytes | None]:
    """The headers in a fixed order, extensions as given, and the body; None for no value.

    Raises InvalidEvent when `decode` would not give an equal event back, naming the attribute at fault.
    """
    headers = [(_header(name, mapping), _write(text, mapping)) for name, text in _texts(event)]
    if _is_cloudevents(_content_type(headers)):
        raise InvalidEvent(
            "datacontenttype",
            f"{event.datacontenttype!r} would be taken for the mode of the message; use structured mode",
        )
    return headers, _body(event, mapping)


def decode(headers: Iterable[tuple[str, str]], body: bytes | None, mapping: Mapping) -> Event:
    """The event of a message in binary mode. Headers that carry no attribute are ignored.

    A body of None is a message without a value. Raises InvalidEvent, naming the attribute where one is at
    fault, also when the content type is that of structured mode.
    """
    given = list(headers)
    content_type = _content_type(given)
    if _is_cloudevents(content_type):
        raise InvalidEvent("datacontenttype", f"{content_type[:80]!r} does not stand for binary mode")
    found = _attributes(given, mapping)
    if found.pop("specversion", None) != SPECVERSION:
        raise InvalidEvent("specversion", f"must be {SPECVERSION!r}")
    core: dict[str, Any] = {name: found.pop(name, None) for name in (*_REQUIRED, *_OPTIONAL)}
    for name in _REQUIRED:
        if core[name] is None:
            raise InvalidEvent(name, "is missing")
    extensions = {name: _typed(name, text) for name, text in found.items()}
    return Event(**core, data=_data(body, core["datacontenttype"], mapping), extensions=extensions)


def read(headers: Iterable[tuple[str, str]], body: bytes | None, mapping: Mapping) -> Event:
    """The event of a message in the mode that its content type says. Raises InvalidEvent."""
    given = list(headers)
    if structured.is_structured(_content_type(given)):
        return structured.decode(body or b"")
    return decode(given, body, mapping)


def _texts(event: Event) -> Iterator[tuple[str, str]]:
    """Each attribute that is set, with its canonical text."""
    yield from (("specversion", SPECVERSION), ("id", event.id), ("source", event.source))
    yield from (("type", event.type), ("time", event.timestamp))
    for name in _OPTIONAL:
        value = getattr(event, name)
        if value is not None:
            yield name, value
    yield from ((name, _text(name, value)) for name, value in event.extensions.items())


def _text(name: str, value: Value) -> str:
    if isinstance(value, str):
        return value
    if name in _INTEGERS:
        return str(value)
    raise InvalidEvent(
        name,
        f"is {value!r}, and a header would make it a string; use structured mode, or give it as a string",
    )


def _typed(name: str, text: str) -> Value:
    if name not in _INTEGERS:
        return text
    if not _INTEGER.fullmatch(text):
        raise InvalidEvent(name, f"must be an integer in decimal, not {text[:40]!r}")
    return int(text)


def _header(name: str, mapping: Mapping) -> str:
    return mapping.datacontenttype if name == "datacontenttype" else mapping.prefix + name


def _attributes(headers: list[tuple[str, str]], mapping: Mapping) -> dict[str, str]:
    found: dict[str, str] = {}
    for header, value in headers:
        name = _attribute(header, mapping)
        if name is None:
            continue
        if name in found:
            raise InvalidEvent(name, "comes in two headers")
        found[name] = _read(name, value, mapping)
    return found


def _attribute(header: str, mapping: Mapping) -> str | None:
    """The attribute that a header carries, or None if it carries none."""
    lower = header.lower() if header.isascii() else header  # the Kelvin sign in lower case is a k
    if lower == mapping.datacontenttype:
        return "datacontenttype"
    if not lower.startswith(mapping.prefix):
        return None
    name = lower[len(mapping.prefix) :]
    if name == "datacontenttype":
        raise InvalidEvent(name, f"must come in the header {mapping.datacontenttype}, not in {header}")
    return name


def _write(text: str, mapping: Mapping) -> str:
    return quote(text, safe=_AS_IT_IS) if mapping.percent_encoded else text


def _read(name: str, value: str, mapping: Mapping) -> str:
    if not mapping.percent_encoded:
        return value
    if not _ENCODED.fullmatch(value):
        raise InvalidEvent(name, f"{value[:80]!r} is not percent-encoded as it has to be")
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError as reason:
        raise InvalidEvent(name, f"{value[:80]!r} does not decode to UTF-8: {reason.reason}") from reason


def _content_type(headers: list[tuple[str, str]]) -> str:
    """The content type of the message, "" for none."""
    found = [value for header, value in headers if header.lower() == "content-type"]
    if len(found) > 1:
        raise InvalidEvent("datacontenttype", "cannot be told: there are two headers content-type")
    return found[0] if found else ""


def _is_cloudevents(content_type: str) -> bool:
    """Whether a content type is that of structured mode, in this format or another."""
    return content_type.strip().lower().startswith(_CLOUDEVENTS)


def _body(event: Event, mapping: Mapping) -> bytes | None:
    data, content_type = event.data, event.datacontenttype
    if data is ABSENT:
        return _no_value(content_type, mapping)
    if isinstance(data, bytes):
        if not is_json(content_type):
            return data
        raise InvalidEvent(
            "data",
            f"is bytes under {content_type or 'no content type, which means JSON'}, and would come back as a "
            "JSON value; set datacontenttype to what they are, or use structured mode",
        )
    if is_json(content_type):
        return msgspec.json.encode(data)
    raise InvalidEvent(
        "data",
        f"is text under {content_type}, and would come back as bytes; give bytes, or use structured mode",
    )


def _no_value(content_type: str | None, mapping: Mapping) -> bytes | None:
    if mapping.null_value:
        return None
    if is_json(content_type):
        return b""  # no JSON text is empty
    raise InvalidEvent(
        "data",
        f"is absent under {content_type}, and would come back as empty bytes; leave datacontenttype out, "
        "or use structured mode",
    )


def _data(body: bytes | None, content_type: str | None, mapping: Mapping) -> Any:
    if not mapping.null_value:
        body = body or (None if is_json(content_type) else b"")
    if body is None:
        return ABSENT
    return _parse(body) if is_json(content_type) else body


def _parse(body: bytes) -> Any:
    """The value of one JSON text, by the rules of structured content (ENV-006).

    Numbers that JSON does not have, nesting out of bounds and lone surrogates pass here: Event refuses them.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_members)
    except ValueError as reason:
        raise InvalidEvent("data", f"is no JSON text, but its content type says so: {reason}") from reason
    except RecursionError as reason:
        raise InvalidEvent("data", "is JSON nested too deeply to be read") from reason


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a member twice")
    return found
