"""What an act of the port can raise. Foreign errors are translated to these at an adapter's edge.

An act has three outcomes: it returned (it took effect), `Rejected` (it certainly did not), or
`Indeterminate` (it may have). Whatever is not known for certain is `Indeterminate`.
"""

from __future__ import annotations


class EventproofError(Exception):
    """Any error that this package raises on purpose."""


class Rejected(EventproofError):
    """The act certainly took no effect.

    `kind` is a short stable word for programs (spec/adapter.md lists them), such as `too-large`, `no-topic`,
    `conflict`, `closed`; `detail` is a sentence for people.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


class Indeterminate(EventproofError):
    """The act may or may not have taken effect; retrying it is safe only where it is idempotent."""


class Unsupported(Rejected):
    """The adapter honestly lacks what was asked for. Raised on entering, never when settling."""

    def __init__(self, detail: str) -> None:
        super().__init__("unsupported", detail)

    def __reduce__(self) -> tuple[type[Unsupported], tuple[str]]:
        return type(self), (self.detail,)


class AlreadySettled(Rejected):
    """The delivery was settled before, by another verb."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("already-settled", detail)

    def __reduce__(self) -> tuple[type[AlreadySettled], tuple[str]]:
        return type(self), (self.detail,)


class LeaseExpired(Rejected):
    """The delivery's lease ran out or was taken away; the event belongs to another delivery now."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("lease-expired", detail)

    def __reduce__(self) -> tuple[type[LeaseExpired], tuple[str]]:
        return type(self), (self.detail,)


class SessionLost(EventproofError):
    """The subscription's session ended at the broker; its unsettled deliveries will be redelivered."""


class Unreachable(EventproofError):
    """No broker answers at the address, or it refuses the connection."""


class InvalidOption(EventproofError):
    """An option that the adapter does not have, or a value that it cannot take."""
