"""What an adapter promises, as data: independent axes, graded (see spec/conformance.md).

A stronger grade on an axis implies the weaker ones on the same axis, and nothing on another axis.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Fault = Literal["consumer-loss", "broker-kill", "power-loss", "node-loss", "all-nodes"]


class _Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Closed, immutable, with a JSON form."""


class Ordering(_Claim, frozen=True, kw_only=True):
    """Which events keep their publish order, and how strictly.

    scope: of one partition key, or of the whole topic.
    strictness: `settled` hands out no later event of the key before the earlier one is settled, also
    under redelivery; `first-delivery` binds first deliveries only.
    publish: `confirmed` orders a publish after those confirmed before it was invoked; `pipelined` also
    orders one publisher's overlapping publishes as invoked.
    agreement: `groups` means that all groups see one order.
    """

    scope: Literal["none", "key", "topic"] = "none"
    strictness: Literal["first-delivery", "settled"] = "first-delivery"
    publish: Literal["confirmed", "pipelined"] = "confirmed"
    agreement: Literal["none", "groups"] = "none"


class Redelivery(_Claim, frozen=True, kw_only=True):
    """What brings an unsettled event back, and within how many seconds once it is due."""

    nack: bool = False
    lease_end: bool = False
    consumer_loss: bool = False
    within: float = 10.0


class Attempts(_Claim, frozen=True, kw_only=True):
    """Whether the attempt count is never below, and never above, the true number of hand-outs."""

    never_low: bool = False
    never_high: bool = False


class Deduplication(_Claim, frozen=True, kw_only=True):
    """Scope in which (source, id) is recognised, and for how many seconds (a topic may set its own)."""

    scope: Literal["none", "topic", "key"] = "none"
    window: float | None = None


class Survives(_Claim, frozen=True, kw_only=True):
    """For each kind of state, the losses it survives. A kill -9 keeps the page cache: never power loss."""

    messages: tuple[Fault, ...] = ()
    acks: tuple[Fault, ...] = ()
    attempts: tuple[Fault, ...] = ()
    delays: tuple[Fault, ...] = ()
    dedup: tuple[Fault, ...] = ()


class Flow(_Claim, frozen=True, kw_only=True):
    """Bounds that hold: `max_in_flight` of the policy, and the largest encoded event in bytes."""

    max_in_flight: bool = False
    max_payload: int | None = None


class Claims(_Claim, frozen=True, kw_only=True):
    """The claims of one adapter in one configuration; the default claims nothing.

    groups: `present` is a group of whoever is there; a `durable` one outlives its members, with its start
    and its policy. sharing: a member owns `partitions`, whose events wait for it, or `events` go to any
    member that waits. positions: receipts and deliveries name the stored copy.
    """

    loss: Literal["may", "never"] = "may"
    duplicates: Literal["any", "permitted", "never"] = "any"
    ordering: Ordering = Ordering()
    groups: Literal["present", "durable"] = "present"
    sharing: Literal["partitions", "events"] = "partitions"
    isolation: Literal["none", "topic", "partition", "key"] = "none"
    ack: Literal["sent", "confirmed"] = "sent"
    fencing: Literal["none", "clock", "broker"] = "none"
    redelivery: Redelivery = Redelivery()
    backoff: Literal["none", "session", "durable"] = "none"
    attempts: Attempts = Attempts()
    dead_letter: Literal["none", "at-least-one", "one-without-faults", "one-across-crash"] = "none"
    positions: bool = False
    idempotent_publish: bool = False
    publish_dedup: Deduplication = Deduplication()
    consume_dedup: Deduplication = Deduplication()
    survives: Survives = Survives()
    replay: Literal["none", "earliest"] = "none"
    expiry: bool = False
    flow: Flow = Flow()
