"""Event: one immutable fact, identified by its source and id (spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn
from urllib.parse import quote
from uuid import uuid4

from eventproof.schemas import attributes, payload, timestamps
from eventproof.schemas.attributes import Value
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.payload import ABSENT

if TYPE_CHECKING:
    from cloudevents.core.base import BaseCloudEvent

__all__ = ["ABSENT", "SPECVERSION", "Event", "InvalidEvent"]

SPECVERSION = "1.0"
_set = object.__setattr__


class Event:
    """A CloudEvent 1.0 of our profile. A change gives a new value.

    source: URI-reference; with `id` it is the event's identity. type: reverse-DNS name of the fact.
    id: a new UUID by default. time: now by default; an aware `datetime` or RFC 3339 text; kept in UTC.
    A `datetime` holds microseconds: digits beyond them, as text can give, are in `timestamp` alone.
    data: a JSON value, bytes, or ABSENT; text (str) or bytes under a `datacontenttype` that is not JSON.
    It is copied in; treat what `event.data` gives as read-only. dataschema: absolute URI.
    extensions: by name ([a-z0-9], 1 to 20): bool, 32-bit int or str. The JSON format has no type for
    bytes and timestamps, so those become their canonical text here: base64, and RFC 3339 in UTC with
    microseconds. None means unset. The known extensions must have the form that the profile gives them.

    Equal by all attributes and data, by JSON type (True, 1 and 1.0 differ); hashed by identity.
    Satisfies the CloudEvents SDK's `BaseCloudEvent`. Raises InvalidEvent.
    """

    __slots__ = (
        "_finer", "_identity", "data", "datacontenttype", "dataschema", "extensions",
        "id", "source", "subject", "time", "type",
    )  # fmt: skip
    specversion: ClassVar[str] = SPECVERSION
    source: str
    type: str
    id: str
    time: datetime
    data: Any
    datacontenttype: str | None
    dataschema: str | None
    subject: str | None
    extensions: Mapping[str, Value]
    _finer: str
    _identity: str | None

    def __init__(
        self,
        *,
        source: str,
        type: str,  # noqa: A002
        id: str | None = None,  # noqa: A002
        time: datetime | str | None = None,
        data: Any = ABSENT,
        datacontenttype: str | None = None,
        dataschema: str | None = None,
        subject: str | None = None,
        extensions: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        _set(self, "source", attributes.reference("source", source))
        _set(self, "type", attributes.filled("type", type))
        _set(self, "id", str(uuid4()) if id is None else attributes.filled("id", id))
        moment, finer = _time(time)
        _set(self, "time", moment)
        _set(self, "_finer", finer)
        _set(self, "datacontenttype", _optional(attributes.media_type, "datacontenttype", datacontenttype))
        _set(self, "dataschema", _optional(attributes.absolute, "dataschema", dataschema))
        _set(self, "subject", _optional(attributes.filled, "subject", subject))
        _set(self, "extensions", attributes.extensions(extensions))
        _set(self, "data", payload.own(data, datacontenttype))
        _set(self, "_identity", None)

    @classmethod
    def from_sdk(cls, event: BaseCloudEvent) -> Event:
        """The same event from the CloudEvents SDK. Its data None becomes ABSENT: it cannot tell null apart.

        Raises InvalidEvent when it is not CloudEvents 1.0, has no time, or breaks our profile.
        """
        given = {name: value for name, value in event.get_attributes().items() if value is not None}
        if given.pop("specversion", None) != SPECVERSION:
            raise InvalidEvent("specversion", f"must be {SPECVERSION!r}")
        for name in ("id", "source", "type", "time"):
            if name not in given:
                raise InvalidEvent(name, "is missing")
        core = {name: given.pop(name) for name in attributes.CORE & given.keys()}
        data = event.get_data()
        return cls(**core, data=ABSENT if data is None else data, extensions=given)

    @property
    def key(self) -> str | None:
        """The partition key (extension `partitionkey`): the scope of ordering."""
        return self.extensions.get("partitionkey")  # type: ignore[return-value]

    @property
    def identity(self) -> str:
        """Source and id, each percent-encoded, with one space between: one text for one identity."""
        if self._identity is None:  # made on first use: who only reads the event needs none
            _set(self, "_identity", f"{_quoted(self.source)} {quote(self.id, safe='')}")
        return self._identity  # type: ignore[return-value]

    @property
    def timestamp(self) -> str:
        """`time` as RFC 3339 in UTC, with six digits of the second or as many more as were given."""
        return timestamps.write(self.time, self._finer)

    def with_extensions(self, **values: object) -> Event:
        """The event with these extensions set, or unset where the value is None. Raises InvalidEvent."""
        return self._having({**self.extensions, **values})

    def without(self, *names: str) -> Event:
        """The event without these extensions; those that it does not have are ignored."""
        return self._having({name: value for name, value in self.extensions.items() if name not in names})

    def _having(self, extensions: Mapping[str, object]) -> Event:
        other = object.__new__(Event)
        for name in Event.__slots__:
            _set(other, name, getattr(self, name))
        _set(other, "extensions", attributes.extensions(extensions))
        return other

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return (
            self._core() == other._core()
            and _same_extensions(self.extensions, other.extensions)
            and payload.same(self.data, other.data)
        )

    def __hash__(self) -> int:
        return hash((self.source, self.id))

    def __repr__(self) -> str:
        given = self._arguments().items()
        shown = (f"{name}={value!r}" for name, value in given if value is not _UNSET.get(name))
        return f"Event({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._arguments(),)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an Event does not change: cannot set {name}; make a new one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an Event does not change: cannot delete {name}")

    def _core(self) -> tuple[object, ...]:
        return (
            self.source, self.id, self.type, self.time, self._finer,
            self.datacontenttype, self.dataschema, self.subject,
        )  # fmt: skip

    def _arguments(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "type": self.type,
            "id": self.id,
            "time": self.timestamp,
            "datacontenttype": self.datacontenttype,
            "dataschema": self.dataschema,
            "subject": self.subject,
            "extensions": dict(self.extensions),
            "data": self.data,
        }

    # The CloudEvents SDK's BaseCloudEvent protocol.

    def get_id(self) -> str:
        return self.id

    def get_source(self) -> str:
        return self.source

    def get_type(self) -> str:
        return self.type

    def get_specversion(self) -> str:
        return SPECVERSION

    def get_datacontenttype(self) -> str | None:
        return self.datacontenttype

    def get_dataschema(self) -> str | None:
        return self.dataschema

    def get_subject(self) -> str | None:
        return self.subject

    def get_time(self) -> datetime:
        return self.time

    def get_extension(self, extension_name: str) -> Value | None:
        return self.extensions.get(extension_name)

    def get_data(self) -> Any:
        """The data; None for ABSENT as for JSON null, which the SDK cannot tell apart."""
        return None if self.data is ABSENT else self.data

    def get_attributes(self) -> dict[str, Any]:
        """A new dict of all attributes that are set, `time` as a `datetime`."""
        core = {"specversion": SPECVERSION} | {name: getattr(self, name) for name in _ATTRIBUTES}
        return {name: value for name, value in core.items() if value is not None} | dict(self.extensions)


_UNSET = {"data": ABSENT}


@lru_cache(maxsize=256)
def _quoted(source: str) -> str:
    """Percent-encoded; remembered, since a service has few sources and many events."""
    return quote(source, safe="")


_ATTRIBUTES = ("id", "source", "type", "time", "datacontenttype", "dataschema", "subject")


def _optional(check: Callable[[str, object], str], name: str, value: object) -> str | None:
    return None if value is None else check(name, value)


def _time(given: object) -> tuple[datetime, str]:
    if given is None:
        return datetime.now(timezone.utc), ""
    if isinstance(given, datetime):
        return timestamps.utc("time", given), ""
    return timestamps.parse("time", attributes.text("time", given))


def _same_extensions(one: Mapping[str, Value], other: Mapping[str, Value]) -> bool:
    return one == other and all(type(value) is type(other[name]) for name, value in one.items())


def _rebuild(arguments: dict[str, Any]) -> Event:
    return Event(**arguments)
