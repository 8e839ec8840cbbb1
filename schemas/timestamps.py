"""RFC 3339 timestamps, in the form in which events carry them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from eventproof.schemas.errors import InvalidEvent

MICROSECONDS = 6  # digits that a `datetime` holds
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(?:([Zz])|([+-][0-9]{2}:[0-9]{2}))"
)


def parse(name: str, text: str) -> tuple[datetime, str]:
    """The instant in UTC, cut to microseconds, and the digits of its second beyond those ("" for none).

    Raises InvalidEvent (attribute `name`) when `text` is not RFC 3339, or names a time that `datetime`
    cannot hold: a leap second, the year 0.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise InvalidEvent(name, f"{text[:40]!r} is no RFC 3339 timestamp, such as 2026-07-01T12:00:00Z")
    date, clock, fraction, zulu, offset = found.groups()
    digits = (fraction or "").ljust(MICROSECONDS, "0")
    zone = "+00:00" if zulu else offset
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}.{digits[:MICROSECONDS]}{zone}")
    except ValueError as reason:
        raise InvalidEvent(name, f"{text[:40]!r} cannot be represented: {reason}") from reason
    return utc(name, moment), digits[MICROSECONDS:].rstrip("0")


def utc(name: str, moment: datetime) -> datetime:
    """The same instant in UTC. Raises InvalidEvent when `moment` is naive or leaves the calendar."""
    if moment.tzinfo is timezone.utc:
        return moment
    if moment.utcoffset() is None:
        raise InvalidEvent(name, "must be timezone-aware; give it a tzinfo, such as datetime.timezone.utc")
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError as reason:
        raise InvalidEvent(name, f"{moment.isoformat()} leaves the calendar in UTC") from reason


def write(moment: datetime, finer: str = "") -> str:
    """The canonical text of an instant in UTC: six digits of the second, then `finer`, then `Z`."""
    return f"{moment.isoformat(timespec='microseconds')[:26]}{finer}Z"
