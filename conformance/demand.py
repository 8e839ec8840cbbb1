"""What a scenario takes of a server, known before it runs."""

from __future__ import annotations

from typing import Final

import msgspec

from eventproof.conformance.scenario import TYPES, Payload, Scenario
from eventproof.conformance.targets.visit import Demand

EVENT: Final = 2048  # bytes: an event's attributes, its headers and subject, and what a dead letter adds


def demand(scenario: Scenario) -> Demand:
    """Topics and lanes that are there at once, those of dead letters included."""
    dead = sum(group.policy.max_attempts is not None for group in scenario.groups)
    lanes = [0] * len(scenario.topics)
    for group in scenario.groups:
        lanes[group.topic] += scenario.topics[group.topic].partitions
    return Demand(len(lanes) + dead, sum(lanes) + dead, max((*lanes, min(dead, 1)), default=0))


def weight(scenario: Scenario, limit: int | None) -> int:
    """Bytes that the scenario stores at most: events, probes, and a dead letter of each for each group that
    may write one. limit: bytes of an oversize event."""
    copies = [1] * len(scenario.topics)
    for group in scenario.groups:
        copies[group.topic] += group.policy.max_attempts is not None
    payloads = [EVENT + _size(payload, limit or 0) for payload in scenario.payloads]
    events = sum(payloads[step.payload] * copies[step.topic] for step in scenario.publishes)
    lanes = {(step.topic, step.key) for step in scenario.publishes} | {(t, 0) for t in range(len(copies))}
    return events + sum(EVENT * len(TYPES) * copies[topic] for topic, _ in lanes)


def without_oversize(scenario: Scenario) -> Scenario:
    """The same with no data where there would be more than a broker takes."""
    kept = (Payload() if payload.kind == "oversize" else payload for payload in scenario.payloads)
    return msgspec.structs.replace(scenario, payloads=tuple(kept))


def _size(payload: Payload, limit: int) -> int:
    if payload.kind == "oversize":
        return limit
    return len(msgspec.json.encode(payload.raw if payload.kind == "bytes" else payload.json))
