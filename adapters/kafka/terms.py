"""What holds for all events of a group on a partition."""

from __future__ import annotations

import msgspec


class Terms(msgspec.Struct, frozen=True):
    """policy: digest of the group's. lease: seconds of one. hold: seconds that a reserved event may wait for
    its hand-out. skew: unix time minus `loop.time()`. window: milliseconds of deduplication, 0 for none."""

    policy: str
    lease: float
    hold: float
    max_attempts: int | None
    skew: float
    window: int = 0
