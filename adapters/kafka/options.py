"""What `connect("kafka://...", **options)` understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from eventproof.adapters.errors import InvalidOption

PORT: Final = 9092
# Without `_`: Kafka refuses a topic that differs from another in `.` for `_` alone, and names here have `.`.
_PREFIX = re.compile(r"[A-Za-z0-9-]{1,60}")
_NO_PORT = re.compile(r":(?=[^,/:\]]*[^,/:\]0-9])[^,/]*")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one connection is configured.

    deadline: seconds after which a call's outcome is indeterminate.
    connect_timeout: seconds within which a broker must have answered.
    prefix: first part of every topic and group of Kafka; letters, digits, `-`, at most 60.
    name: label of the connection in the broker's logs and metrics.
    mode: how events are published, as one JSON document or with attributes as headers. Both are read.
    session_timeout: seconds without a sign of life after which the group's other members take over.
    window: seconds within which a second copy of an event is not delivered; 0 for no deduplication.
    """

    deadline: float = 5.0
    connect_timeout: float = 5.0
    prefix: str = "eventproof"
    name: str = "eventproof"
    mode: Literal["structured", "binary"] = "structured"
    session_timeout: float = 10.0
    window: float = 120.0

    def __post_init__(self) -> None:
        if min(self.deadline, self.connect_timeout, self.session_timeout) <= 0:
            raise ValueError("deadline, connect_timeout and session_timeout must be above 0")
        if self.window < 0:
            raise ValueError("window must be 0 or more")
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(f"prefix {self.prefix!r} must be 1 to 60 of A-Z, a-z, 0-9 and -")


def options(given: Mapping[str, Any]) -> Options:
    """The options, numbers also as text. Raises InvalidOption."""
    try:
        return msgspec.convert(given, Options, strict=False)
    except msgspec.ValidationError as problem:
        raise InvalidOption(f"kafka adapter: {problem}") from problem


def servers(url: str) -> list[str]:
    """The brokers that `kafka://HOST:PORT[,HOST:PORT...]` names. Raises InvalidOption, which never shows what
    stands before an `@`: it may be a password."""
    found = _split(url)
    if found is None or found.scheme != "kafka" or found.path.strip("/") or found.query or found.fragment:
        raise _no_url(url)
    if "@" in found.netloc:
        raise InvalidOption(f"kafka adapter: {_shown(url)} names a user: options say who one is, not the URL")
    return [_server(part, url) for part in found.netloc.split(",")]


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _server(part: str, url: str) -> str:
    """HOST:PORT with the port filled in."""
    one = _split(f"kafka://{part}")
    try:
        if one is None or not one.hostname or any(mark.isspace() for mark in part):
            raise _no_url(url)
        port = PORT if one.port is None else one.port
    except ValueError:
        raise _no_url(url) from None
    host = f"[{one.hostname}]" if ":" in one.hostname else one.hostname
    return f"{host}:{port}"


def _no_url(url: str) -> InvalidOption:
    return InvalidOption(f"kafka adapter: {_shown(url)} is not kafka://HOST:PORT[,HOST:PORT...]")


def _shown(url: str) -> str:
    """The URL without what may be a password, however broken it is: what stands before the last `@`, and a
    port that is no number."""
    scheme, mark, place = url.rpartition("@")[2].rpartition("://")
    shown = _NO_PORT.sub(":***", place)
    if "@" in url:
        return f"{url.partition('://')[0]}://***@{shown}"[:200]
    return f"{scheme}{mark}{shown}"[:200]
