"""The history: what was called, what came back, in the order in which one recorder saw it.

Record 0 is the header. Every later record is a `Record`: one flat shape, in which a field left out has
its default. `i` is the order; `t` (nanoseconds of a monotonic clock, 0 at the start of the run) serves
lower bounds only. An invoke is recorded before the call and its completion after it; an invoke without
completion is indeterminate. Nothing is filtered, deduplicated or sorted while recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.adapters.policy import Policy

FORMAT = 1


class TopicInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A topic of the run. window: seconds of publish deduplication as configured, None if unknown."""

    name: str
    partitions: int | None = None
    window: float | None = None


class GroupInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A consumer group of the run and the policy that it was meant to have."""

    name: str
    topic: str
    policy: Policy = Policy()


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Record 0.

    tick: seconds per scenario tick. slack: seconds within which time-based judgements are void.
    within: seconds after which an undelivered probe counts as stuck (L1, L2).
    anchor: wall time (seconds since the epoch) at t = 0.
    configuration: what the broker was configured with, secrets redacted.
    """

    format: int = FORMAT
    claims: Claims
    run: str = ""
    scenario: str = ""
    target: str = ""
    topics: Sequence[TopicInfo] = ()
    groups: Sequence[GroupInfo] = ()
    tick: float = 1.0
    slack: float = 0.1
    within: float = 30.0
    anchor: float = 0.0
    versions: Mapping[str, str] = {}
    configuration: Mapping[str, str] = {}


class LogEntry(msgspec.Struct, frozen=True, array_like=True):
    """One stored copy in an authoritative read of a topic's log, oldest first."""

    call: int
    position: str
    partition: int = -1


class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One thing that happened. See spec/history.md for the fields each kind carries.

    call: number of a publish call, 1 up; 0 when a delivered event carries none of ours.
    event: identity, `source` and `id` percent-encoded and joined by a space.
    key: partition key, "" for none. position: opaque, "" when the broker gives none.
    session, delivery: numbers from 1. partition: -1 when unknown. attempt: 0 when not given.
    delay: seconds asked for in a nack, -1 for the policy's back-off.
    expires: ns on the history's clock at which the event expires, 0 for never.
    """

    i: int
    t: int
    kind: str
    process: str = ""
    topic: str = ""
    group: str = ""
    session: int = 0
    call: int = 0
    event: str = ""
    type: str = ""
    key: str = ""
    partition: int = -1
    position: str = ""
    delivery: int = 0
    attempt: int = 0
    delay: float = -1.0
    duplicate: bool | None = None
    digest: str = ""
    reason: str = ""
    error: str = ""
    expires: int = 0
    numbers: Mapping[str, int] = {}
    entries: Sequence[LogEntry] = ()


class History(msgspec.Struct, frozen=True):
    """A header and its records, in recorder order."""

    header: Header
    records: Sequence[Record]
