"""What a history is about: calls, deliveries, copies, sessions, groups. Filled by `build.build`.

These are mutable while the index is built and read-only afterwards. Moments are recorder indexes (`i`),
with `NEVER` for what did not happen; times are nanoseconds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, Literal

from eventproof.adapters.policy import Policy
from eventproof.conformance.history.record import Record
from eventproof.schemas.deadletter import error_text

NEVER: Final = sys.maxsize
NANOSECONDS: Final = 1_000_000_000

Outcome = Literal["open", "ok", "rejected", "indeterminate"]
Verb = Literal["ack", "nack", "reject", "extend"]


class Call:
    """One publish call. i: its invoke; ended: its completion, or its invoke while it is open.

    confirmed: when its copy was surely stored: its own .ok unless answered duplicate, or the .ok of the
    first later call of the event answered duplicate when only this call can have stored it.
    seen: a copy was delivered, dead-lettered or read from the log; sighted: ns at which that was known.
    repeated: the event has other calls.
    """

    __slots__ = (
        "confirmed", "done", "ended", "i", "invoke", "number", "outcome", "probe", "process", "repeated",
        "seen", "sighted",
    )  # fmt: skip

    def __init__(self, invoke: Record) -> None:
        self.i = self.ended = invoke.i
        self.number = invoke.call
        self.process = invoke.process
        self.invoke = invoke
        self.done: Record | None = None
        self.outcome: Outcome = "open"
        self.confirmed = NEVER
        self.seen = False
        self.sighted = NEVER
        self.probe = False
        self.repeated = False

    def see(self, t: int) -> None:
        """A copy of it is known to be stored since t, in ns, at the latest."""
        if not self.seen:
            self.seen, self.sighted = True, t

    @property
    def refused(self) -> bool:
        """The call certainly stored nothing."""
        return self.outcome == "rejected"

    @property
    def duplicate(self) -> bool | None:
        """What the broker answered; None without an .ok or when it does not tell."""
        return self.done.duplicate if self.done is not None and self.outcome == "ok" else None


class Act:
    """One call of a settling verb, or of extend, on a delivery."""

    __slots__ = ("done", "invoke", "outcome", "verb")

    def __init__(self, invoke: Record, verb: Verb) -> None:
        self.invoke = invoke
        self.verb = verb
        self.done: Record | None = None
        self.outcome: Outcome = "open"

    @property
    def refused(self) -> bool:
        """The act certainly took no effect."""
        return self.outcome == "rejected"

    @property
    def ended(self) -> int:
        """When it completed."""
        return self.done.i if self.done is not None else NEVER

    @property
    def told(self) -> str:
        """The reason of a reject, as a dead letter can carry it."""
        return error_text(self.invoke.reason)


class Delivery:
    """One hand-out. asked: the next.invoke that returned it. lost: the first sign that its lease is lost,
    which is lease.lost or the refusal of an act as `lease-expired`."""

    __slots__ = ("acts", "asked", "copy", "i", "lost", "record", "session", "t")

    def __init__(self, record: Record, session: Session, copy: Copy, asked: Record) -> None:
        self.i = record.i
        self.t = record.t
        self.record = record
        self.session = session
        self.copy = copy
        self.asked = asked
        self.acts: Sequence[Act] = ()
        self.lost = NEVER


class Copy:
    """One stored copy as one group saw it: (call, partition, position). call is None for a phantom.
    settled: the first ack.invoke or reject.invoke of any of its deliveries that was not refused;
    closed: the first of them to return."""

    __slots__ = ("call", "closed", "deliveries", "group", "key", "settled")

    def __init__(self, group: Group, call: Call | None, key: str) -> None:
        self.group = group
        self.call = call
        self.key = key
        self.settled = self.closed = NEVER
        self.deliveries: list[Delivery] = []

    @property
    def first(self) -> Delivery:
        return self.deliveries[0]

    @property
    def calls(self) -> tuple[int, ...]:
        """The number of its call, for evidence."""
        return (self.call.number,) if self.call is not None else ()

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"call {self.call.number}" if self.call is not None else f"event {self.first.record.event!r}"


class Session:
    """One subscription of one process. ended: closed, lost or killed; orderly: closed by its consumer.
    entered: its first next.invoke; asked: the one that is still open."""

    __slots__ = ("asked", "deliveries", "done", "ended", "entered", "group", "invoke", "orderly", "outcome")

    def __init__(self, invoke: Record, group: Group) -> None:
        self.invoke = invoke
        self.group = group
        self.done: Record | None = None
        self.outcome: Outcome = "open"
        self.ended = NEVER
        self.orderly = False
        self.entered: Record | None = None
        self.asked: Record | None = None
        self.deliveries: list[Delivery] = []

    @property
    def number(self) -> int:
        return self.invoke.session

    @property
    def process(self) -> str:
        return self.invoke.process


class Group:
    """A consumer group on a topic. lanes: all deliveries by partition key, in order; dead: its dead
    letters by call; subscribing, subscribed: its first subscribe.invoke and .ok since it last existed;
    deleted: the last group.deleted, 0 for none; waits: ns of its longest lease or delay;
    pauses: by process, the moments at which it stopped and went on."""

    def __init__(self, name: str, topic: str, policy: Policy) -> None:
        self.name = name
        self.topic = topic
        self.policy = policy
        self.copies: list[Copy] = []
        self.sessions: list[Session] = []
        self.lanes: dict[str, list[Delivery]] = {}
        self.dead: dict[int, list[Record]] = {}
        self.drained: list[Record] = []
        self.positions: list[Record] = []
        self.pauses: dict[str, list[tuple[int, int]]] = {}
        self.subscribing = NEVER
        self.first_subscribing = NEVER
        self.subscribed = NEVER
        self.deleted = 0
        self.lease = int(policy.ack_timeout * NANOSECONDS)
        self.waits = max(self.lease, int(max(policy.backoff, default=0.0) * NANOSECONDS))
        self._by_call: dict[int, Copy] = {}
        self._others: dict[tuple[int | str, int, str], Copy] = {}
        self._more: dict[int, list[Copy]] = {}
        self._wanted: dict[str, bool] = {}

    def wants(self, event_type: str) -> bool:
        """Whether its type filter matches; remembered."""
        wanted = self._wanted.get(event_type)
        if wanted is None:
            wanted = self._wanted[event_type] = self.policy.wants(event_type)
        return wanted

    def delivered(self, call: int) -> Copy | None:
        """The first copy of the call that was delivered, if any was."""
        return self._by_call.get(call)

    @property
    def renamed(self) -> bool:
        """Whether several copies of one call were delivered."""
        return bool(self._more)

    def copies_of(self, call: int) -> list[Copy]:
        """All copies of the call that were delivered."""
        first = self._by_call.get(call)
        return [first, *self._more.get(call, ())] if first is not None else []

    def copy_of(self, record: Record, call: Call | None) -> Copy:
        """The copy that a deliver record is about; a new one if it is the first."""
        first = self._by_call.get(record.call)
        if first is not None and record.call:
            there = first.deliveries[0].record
            if there.position == record.position and there.partition == record.partition:
                return first
        elif record.call:
            copy = self._by_call[record.call] = self._new(record, call)
            return copy
        name = (record.call or record.event, record.partition, record.position)
        if name not in self._others:
            self._others[name] = self._new(record, call)
            self._more.setdefault(record.call, []).append(self._others[name])
        return self._others[name]

    def _new(self, record: Record, call: Call | None) -> Copy:
        copy = Copy(self, call, record.key if call is None else call.invoke.key)
        self.copies.append(copy)
        return copy
