"""A scenario: all that will be tried on a broker, drawn before anything runs. Durations are ticks."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec

from eventproof.adapters.errors import EventproofError

FORMAT = 1

Natural = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Closed, immutable, with a JSON form in which a default is left out."""


class Topic(_Part, frozen=True, kw_only=True):
    """window: ticks of publish deduplication, None for the broker's default."""

    partitions: Positive = 1
    window: Positive | None = None


class Payload(_Part, frozen=True, kw_only=True):
    """An event's data. `oversize` is a text that no event may carry to a broker with a payload limit."""

    kind: Literal["absent", "json", "bytes", "oversize"] = "absent"
    json: Any = None
    raw: bytes = b""


class Publish(_Part, frozen=True, kw_only=True):
    """One publish call.

    call: its number, from 1. event: calls of one number publish one (source, id). key: 0 for none.
    type: a number into `TYPES`. payload: a number into the scenario's pool.
    after: ticks to wait before it. pipelined: the next step does not wait for its outcome.
    expires: ticks after which the event expires, None for never. repeats: so often the event is published
    again while the outcome is in doubt, by calls with numbers beyond those of the scenario.
    """

    call: Positive
    topic: Natural = 0
    event: Positive
    key: Natural = 0
    type: Natural = 0
    payload: Natural = 0
    after: Natural = 0
    pipelined: bool = False
    expires: Positive | None = None
    repeats: Natural = 0


class Policy(_Part, frozen=True, kw_only=True):
    """A group's policy in ticks; its dead letters go to a topic of the group's own."""

    ack_timeout: Positive = 4
    backoff: tuple[Natural, ...] = (1,)
    max_attempts: Positive | None = None
    max_in_flight: Positive = 16
    types: tuple[str, ...] = ()
    start: Literal["earliest", "latest"] = "earliest"


class Consumer(_Part, frozen=True, kw_only=True):
    """One member. joins: after so many publish calls were invoked. sequential: one event at a time.
    conflicting: asks for another policy than its group's, and must be refused."""

    joins: Natural = 0
    sequential: bool = False
    conflicting: bool = False


class Group(_Part, frozen=True, kw_only=True):
    """A consumer group on one topic."""

    topic: Natural = 0
    policy: Policy = Policy()
    consumers: tuple[Consumer, ...] = (Consumer(),)


class Act(_Part, frozen=True, kw_only=True):
    """What a consumer does with one attempt.

    ack, reject: at once. nack: with a delay of `ticks`, None for the policy's back-off.
    hold: acks after `ticks`, though its lease may have run out. extend: the same, renewing its lease.
    abandon: never settles. leave: ends its session unsettled and joins again after `ticks`.
    twice: acks, acks again, then nacks.
    """

    do: Literal["ack", "nack", "reject", "hold", "extend", "abandon", "leave", "twice"] = "ack"
    ticks: Natural | None = None


class Behaviour(_Part, frozen=True, kw_only=True):
    """What a group does with one call's event, attempt by attempt; after the last act it acks."""

    group: Natural
    call: Positive
    acts: tuple[Act, ...]


Moment = Literal["publish.invoke", "publish.ok", "deliver", "ack.invoke", "ack.ok", "nack.ok"]


class Fault(_Part, frozen=True, kw_only=True):
    """Something that befalls a process, once the history has come so far.

    do: kill; freeze, for `ticks`; restart in order, which befalls the broker alone. A broker is back `ticks`
    after a kill, and a consumer joins again then, or never if that is None.
    group, consumer: numbers of a group and of its consumer; without a group it befalls the broker.
    after, count: due with the count-th record of that kind: a consumer's with its own, the broker's with any.
    turns: of the event loop, between that record and the fault, so that what the record began is under way.
    """

    do: Literal["kill", "freeze", "restart"] = "kill"
    group: Natural | None = None
    consumer: Natural = 0
    after: Moment = "deliver"
    count: Positive = 1
    turns: Natural = 0
    ticks: Natural | None = None

    @property
    def name(self) -> str:
        """What it is called in requirements (spec/durability.md)."""
        if self.group is not None:
            return "consumer-loss" if self.do == "kill" else "consumer-pause"
        return {"kill": "broker-kill", "freeze": "broker-pause", "restart": "broker-restart"}[self.do]


class Scenario(_Part, frozen=True, kw_only=True, tag_field="format", tag=FORMAT):
    """Everything that one run does; publishers are sequences of steps."""

    topics: tuple[Topic, ...] = (Topic(),)
    payloads: tuple[Payload, ...] = (Payload(),)
    publishers: tuple[tuple[Publish, ...], ...] = ()
    groups: tuple[Group, ...] = ()
    behaviours: tuple[Behaviour, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def publishes(self) -> list[Publish]:
        return [step for publisher in self.publishers for step in publisher]

    @property
    def operations(self) -> int:
        """Publishes, consumer behaviours and faults."""
        joins = sum(bool(c.joins or c.conflicting) for g in self.groups for c in g.consumers)
        acts = sum(len(b.acts) for b in self.behaviours)
        return sum(map(len, self.publishers)) + acts + joins + len(self.faults)

    @property
    def broker_faults(self) -> tuple[Fault, ...]:
        """Those that befall every scenario on the broker."""
        return tuple(fault for fault in self.faults if fault.group is None)


TYPES = (
    "com.example.shop.order.created.v1",
    "com.example.shop.order.paid.v1",
    "com.example.shop.user.registered.v1",
)


class InvalidScenario(EventproofError):
    """The file or value is no scenario; the message says where and why."""


def decode(document: bytes) -> Scenario:
    """Read a scenario's JSON form. Raises InvalidScenario."""
    try:
        scenario = msgspec.json.decode(document, type=Scenario)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise InvalidScenario(f"not a scenario: {problem}") from problem
    wrong = inconsistencies(scenario)
    if wrong:
        raise InvalidScenario(f"not a scenario: {'; '.join(wrong)}")
    return scenario


def encode(scenario: Scenario) -> bytes:
    """The JSON form, valid against schemas/conformance/scenario.schema.json."""
    return msgspec.json.format(msgspec.json.encode(scenario), indent=1)


def digest(scenario: Scenario) -> str:
    """A name for what a scenario does, equal for equal ones."""
    return blake2b(msgspec.json.encode(scenario), digest_size=8).hexdigest()


def inconsistencies(scenario: Scenario) -> Sequence[str]:
    """References that lead nowhere, as sentences."""
    calls = [step.call for step in scenario.publishes]
    topics, groups, payloads = len(scenario.topics), len(scenario.groups), len(scenario.payloads)
    found = []
    if len(set(calls)) != len(calls):
        found.append("two publish steps have the same call number")
    if not topics:
        found.append("it has no topic")
    found += [
        f"call {s.call} names topic {s.topic} of {topics}" for s in scenario.publishes if s.topic >= topics
    ]
    found += [
        f"call {s.call} names payload {s.payload} of {payloads}"
        for s in scenario.publishes
        if s.payload >= payloads
    ]
    found += [
        f"call {s.call} names type {s.type} of {len(TYPES)}"
        for s in scenario.publishes
        if s.type >= len(TYPES)
    ]
    found += [
        f"group {n} names topic {g.topic} of {topics}"
        for n, g in enumerate(scenario.groups)
        if g.topic >= topics
    ]
    found += [
        f"a behaviour names group {b.group} of {groups}" for b in scenario.behaviours if b.group >= groups
    ]
    found += [
        f"a behaviour names call {b.call}, which nobody makes"
        for b in scenario.behaviours
        if b.call not in set(calls)
    ]
    found += [text for fault in scenario.faults for text in _lost(scenario, fault)]
    return found


def _lost(scenario: Scenario, fault: Fault) -> Sequence[str]:
    """What is wrong with a fault's references."""
    if fault.group is None:
        return ()
    groups = len(scenario.groups)
    if fault.group >= groups:
        return (f"a fault names group {fault.group} of {groups}",)
    consumers = len(scenario.groups[fault.group].consumers)
    if fault.consumer >= consumers:
        return (f"a fault names consumer {fault.consumer} of {consumers} in group {fault.group}",)
    return ("a fault restarts a consumer; only the broker is restarted",) if fault.do == "restart" else ()
