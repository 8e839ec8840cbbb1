"""How a consumer group wants its events handed out: data, equal for every member of the group."""

from __future__ import annotations

from math import isfinite
from typing import Literal

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The consumption policy of one group.

    ack_timeout: seconds a delivery's lease lasts from its hand-out or its last `extend`.
    backoff: seconds before attempt 2, 3, ... after a nack without a delay; the last one repeats.
    max_attempts: hand-outs after which a failed event goes to `dead_letter`; None is unlimited.
    dead_letter: the topic that takes the group's dead letters; `max_attempts` needs it.
    max_in_flight: unsettled deliveries that one subscription may hold.
    types: event types wanted, exact or `a.b.*` (all below the dot); empty means all.
    start: where the group begins when it is first seen: `earliest` or `latest`.

    Raises ValueError for values that no broker could keep.
    """

    ack_timeout: float = 30.0
    backoff: tuple[float, ...] = (0.1, 1.0, 10.0)
    max_attempts: int | None = None
    dead_letter: str | None = None
    max_in_flight: int = 64
    types: tuple[str, ...] = ()
    start: Literal["earliest", "latest"] = "earliest"

    def __post_init__(self) -> None:
        if self.max_attempts is not None and self.dead_letter is None:
            raise ValueError("max_attempts needs dead_letter: name the topic that takes the event")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError("max_attempts must be 1 or more")
        if self.ack_timeout <= 0 or self.max_in_flight < 1 or any(d < 0 for d in self.backoff):
            raise ValueError("ack_timeout must be above 0, max_in_flight 1 or more, backoff 0 or more")
        if not all(map(isfinite, (self.ack_timeout, *self.backoff))):
            raise ValueError("ack_timeout and backoff must be finite")

    def delay_after(self, attempt: int) -> float:
        """Seconds to wait after the failed `attempt` (1 = first) before the next one."""
        return self.backoff[min(attempt, len(self.backoff)) - 1] if self.backoff else 0.0

    def wants(self, event_type: str) -> bool:
        """Whether the group's type filter matches an event type."""
        return not self.types or any(_matches(pattern, event_type) for pattern in self.types)


def _matches(pattern: str, event_type: str) -> bool:
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return event_type == pattern
