"""What `connect("nats://...", **options)` understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from eventproof.adapters.errors import InvalidOption

# A member that loses its connection must be back before its group is gone.
SHORTEST_ABSENCE: Final = 60.0
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,60}")
_INBOX = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one connection is configured.

    deadline: seconds after which a call's outcome is indeterminate.
    connect_timeout: seconds within which a server must have answered.
    prefix: first part of every stream and subject; letters, digits, `_`, `-`, at most 60.
    inbox: what the subjects begin with on which the server answers; tokens joined by dots.
    name: label of the connection in the server's monitoring.
    forget_groups_after: seconds without members after which the server drops a group that this connection
    made, and where it stood; None for never.
    """

    deadline: float = 5.0
    connect_timeout: float = 3.0
    prefix: str = "eventproof"
    inbox: str = "_INBOX"
    name: str | None = None
    forget_groups_after: float | None = None

    def __post_init__(self) -> None:
        if self.deadline <= 0 or self.connect_timeout <= 0:
            raise ValueError("deadline and connect_timeout must be above 0")
        if self.forget_groups_after is not None and self.forget_groups_after < SHORTEST_ABSENCE:
            raise ValueError(f"forget_groups_after must be {SHORTEST_ABSENCE:g} s or more, or not given")
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(f"prefix {self.prefix!r} must be 1 to 60 of A-Z, a-z, 0-9, _ and -")
        if not _INBOX.fullmatch(self.inbox):
            raise ValueError(f"inbox {self.inbox!r} must be tokens of A-Z, a-z, 0-9, _ and -, joined by dots")


def options(given: Mapping[str, Any]) -> Options:
    """The options, numbers also as text. Raises InvalidOption."""
    try:
        return msgspec.convert(given, Options, strict=False)
    except msgspec.ValidationError as problem:
        raise InvalidOption(f"nats adapter: {problem}") from problem
