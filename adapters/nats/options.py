"""What `connect("nats://...", **options)` understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from eventproof.adapters.errors import InvalidOption

# A member that loses its connection must be back before its group is gone.
SHORTEST_ABSENCE: Final = 60.0
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,60}")
_INBOX = re.compile(r"(?=.{1,100}\Z)[A-Za-z0-9_$-]+(\.[A-Za-z0-9_$-]+)*")
_NEEDS = (("user", "password"), ("password", "user"), ("tls_cert", "tls_key"), ("tls_key", "tls_cert"))


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one connection is configured.

    deadline: seconds after which a call's outcome is indeterminate.
    connect_timeout: seconds within which a server must have answered.
    prefix: first part of every stream and subject; letters, digits, `_`, `-`, at most 60.
    inbox: what the subjects begin with on which the server answers; tokens joined by dots.
    name: label of the connection in the server's monitoring.
    forget_groups_after: seconds without members after which the server drops a group that this connection
    made, and where it stood; None for never.
    mode: how events are published, as one JSON document or with attributes as headers. Both are read.

    One way to authenticate, or none. `password`, `token` and `nkey` (the seed of one) are secrets, given as
    `env:NAME` or `file:PATH`; credentials: path of a `.creds` file, read again for each reconnect.
    tls_ca: path of the certificates to trust instead of the system's. tls_cert, tls_key: paths of the
    client's own. tls_hostname: the name on the server's certificate, if the URL has another one.
    Each tls option, and the URL scheme `tls`, asks for TLS: without it there is no connection.
    """

    deadline: float = 5.0
    connect_timeout: float = 3.0
    prefix: str = "eventproof"
    inbox: str = "_INBOX"
    name: str | None = None
    forget_groups_after: float | None = None
    mode: Literal["structured", "binary"] = "structured"
    user: str | None = None
    password: str | None = None
    token: str | None = None
    nkey: str | None = None
    credentials: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_hostname: str | None = None

    def __post_init__(self) -> None:
        if self.deadline <= 0 or self.connect_timeout <= 0:
            raise ValueError("deadline and connect_timeout must be above 0")
        if self.forget_groups_after is not None and self.forget_groups_after < SHORTEST_ABSENCE:
            raise ValueError(f"forget_groups_after must be {SHORTEST_ABSENCE:g} s or more, or not given")
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(f"prefix {self.prefix!r} must be 1 to 60 of A-Z, a-z, 0-9, _ and -")
        if not _INBOX.fullmatch(self.inbox):
            raise ValueError(f"inbox {self.inbox!r} must be a subject without wildcards, such as _INBOX")
        for given, needed in _NEEDS:
            if getattr(self, given) is not None and getattr(self, needed) is None:
                raise ValueError(f"{given} needs {needed} too")
        if len(self.identities) > 1:
            raise ValueError(f"{' and '.join(self.identities)} are two ways to authenticate: give one")

    @property
    def identities(self) -> list[str]:
        """The ways to authenticate that are given, by the name of an option."""
        return [name for name in ("user", "token", "nkey", "credentials") if getattr(self, name) is not None]

    @property
    def tls(self) -> bool:
        """Whether an option asks for TLS; the URL may ask too."""
        asking = (self.tls_ca, self.tls_cert, self.tls_hostname)
        return any(value is not None for value in asking)


def options(given: Mapping[str, Any]) -> Options:
    """The options, numbers also as text. Raises InvalidOption."""
    try:
        return msgspec.convert(given, Options, strict=False)
    except msgspec.ValidationError as problem:
        raise InvalidOption(f"nats adapter: {problem}") from problem
