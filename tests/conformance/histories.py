"""Hand-written histories in a few lines, for tests of what judges them.

A `Story` records; each record comes 1 ms after the one before it, and `wait` lets time pass.
"""

from __future__ import annotations

from typing import Any

import msgspec

from eventproof.adapters.claims import (
    Attempts,
    Claims,
    Deduplication,
    Flow,
    Ordering,
    Redelivery,
)
from eventproof.adapters.policy import Policy
from eventproof.conformance.history.record import GroupInfo, Header, History, LogEntry, Record, TopicInfo

SECOND = 1_000_000_000
MILLISECOND = 1_000_000

STRONG = Claims(
    loss="never",
    duplicates="permitted",
    ordering=Ordering(scope="key", strictness="settled", publish="pipelined"),
    groups="durable",
    sharing="events",
    isolation="key",
    ack="confirmed",
    fencing="broker",
    redelivery=Redelivery(nack=True, lease_end=True, consumer_loss=True, within=5.0),
    backoff="session",
    attempts=Attempts(never_low=True, never_high=True),
    dead_letter="one-without-faults",
    positions=True,
    idempotent_publish=True,
    publish_dedup=Deduplication(scope="topic", window=60.0),
    replay="earliest",
    expiry=True,
    flow=Flow(max_in_flight=True),
)
POLICY = Policy(ack_timeout=10.0, backoff=(), max_attempts=5, dead_letter="dead", max_in_flight=10)
IDLE = {"pending": 0, "in_flight": 0, "pending_again": 0, "in_flight_again": 0, "last": 9, "last_again": 9}


def claims(**changes: Any) -> Claims:
    """The strong claims of these tests with some of them changed."""
    return msgspec.structs.replace(STRONG, **changes)


def policy(**changes: Any) -> Policy:
    """The policy of these tests with some fields changed."""
    return msgspec.structs.replace(POLICY, **changes)


class Story:
    """Tells one history. `groups` by name: their policies, all on topic `t` unless named `g@topic`."""

    def __init__(self, claims: Claims = STRONG, window: float | None = None, **groups: Policy) -> None:
        named = groups or {"g": POLICY}
        self.header = Header(
            claims=claims,
            topics=[TopicInfo(name="t", partitions=1, window=window), TopicInfo(name="u", partitions=1)],
            groups=[GroupInfo(name=name, topic="t", policy=given) for name, given in named.items()],
            slack=0.1,
            within=30.0,
        )
        self.records: list[Record] = []
        self.time = 0
        self.calls: dict[int, dict[str, Any]] = {}
        self.sessions: dict[int, str] = {}
        self.given: dict[int, int] = {}
        self.number = 0

    def record(self, kind: str, **fields: Any) -> int:
        """Append one record, 1 ms later; its index."""
        self.time += MILLISECOND
        self.records.append(Record(i=len(self.records) + 1, t=self.time, kind=kind, **fields))
        return len(self.records)

    def wait(self, seconds: float) -> None:
        self.time += int(seconds * SECOND)

    def invoke(self, key: str = "", *, event: int = 0, by: str = "p", topic: str = "t", **fields: Any) -> int:
        """A publish call begins; `event` repeats that call's event."""
        call = len(self.calls) + 1
        about = {
            "topic": topic,
            "event": f"s {event or call}",
            "type": "a.b",
            "key": key,
            "digest": "d",
            **fields,
        }
        self.calls[call] = about
        self.record("publish.invoke", process=by, call=call, **about)
        return call

    def outcome(self, call: int, kind: str = "ok", **fields: Any) -> None:
        known = {"duplicate": False, "position": str(call), "partition": 0} if kind == "ok" else {}
        self.record(f"publish.{kind}", call=call, **{**known, **fields})

    def publish(
        self, key: str = "", *, duplicate: bool | None = False, outcome: str = "ok", **fields: Any
    ) -> int:
        """A whole publish call."""
        call = self.invoke(key, **fields)
        self.outcome(call, outcome, **({"duplicate": duplicate} if outcome == "ok" else {}))
        return call

    def join(self, group: str = "g", *, process: str = "", reason: str = "", outcome: str = "ok") -> int:
        """A subscription; its session number."""
        session = len(self.sessions) + 1
        self.sessions[session] = group
        who = process or f"c{session}"
        self.record("subscribe.invoke", process=who, session=session, topic="t", group=group, reason=reason)
        if outcome != "open":
            self.record(f"subscribe.{outcome}", session=session)
        return session

    def next(self, session: int) -> None:
        self.record("next.invoke", session=session)

    def hand(self, session: int, call: int, **fields: Any) -> int:
        """The open next of the session returns the event of the call; the delivery's number."""
        self.number += 1
        group = self.sessions[session]
        about = {k: v for k, v in self.calls.get(call, {}).items() if k != "expires"}
        known = {**about, "topic": "t", "position": str(call), "partition": 0, "attempt": 0}
        self.record(
            "deliver", session=session, group=group, delivery=self.number, **{"call": call, **known, **fields}
        )
        return self.number

    def deliver(self, session: int, call: int, **fields: Any) -> int:
        self.next(session)
        return self.hand(session, call, **fields)

    def settle(self, verb: str, delivery: int, outcome: str = "ok", *, why: str = "", **fields: Any) -> None:
        """A whole settle call; `why`: the kind of a refusal."""
        self.record(f"{verb}.invoke", delivery=delivery, **fields)
        if outcome != "open":
            self.record(f"{verb}.{outcome}", delivery=delivery, reason=why)

    def ack(self, delivery: int, outcome: str = "ok", **fields: Any) -> None:
        self.settle("ack", delivery, outcome, **fields)

    def nack(self, delivery: int, outcome: str = "ok", *, delay: float = 0.0, **fields: Any) -> None:
        self.settle("nack", delivery, outcome, delay=delay, **fields)

    def reject(self, delivery: int, outcome: str = "ok", *, reason: str = "bad", **fields: Any) -> None:
        self.settle("reject", delivery, outcome, reason=reason, **fields)

    def handle(self, session: int, call: int, **fields: Any) -> int:
        """Hand out and ack."""
        delivery = self.deliver(session, call, **fields)
        self.ack(delivery)
        return delivery

    def close(self, session: int) -> None:
        self.record("session.closed", session=session)

    def lose(self, delivery: int) -> None:
        self.record("lease.lost", delivery=delivery)

    def dead(self, call: int, group: str = "g", **fields: Any) -> None:
        """A dead letter is read."""
        about = {k: self.calls[call][k] for k in ("event", "digest")} if call in self.calls else {}
        known = {"topic": "t", "reason": "attempts", "position": f"dead {call}", **about}
        self.record("dead", **{"call": call, "group": group, **known, **fields})

    def drain(self, group: str = "g", *, gap: float = 1000.0, topic: str = "t", **numbers: int) -> None:
        """Proof that nothing more arrives."""
        self.record(
            "drained", topic=topic, group=group, numbers={**IDLE, "gap_ns": int(gap * SECOND), **numbers}
        )

    def drain_dead(self) -> None:
        self.drain("", topic="dead")

    def log(self, *entries: tuple[int, str], topic: str = "t") -> None:
        """A complete read of the log: (call, position)."""
        self.record(
            "log.read", topic=topic, entries=[LogEntry(call, position, 0) for call, position in entries]
        )

    def history(self) -> History:
        return History(self.header, self.records)
