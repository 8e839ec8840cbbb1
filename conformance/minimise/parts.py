"""What can be left out of a scenario, and what can be made simpler in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from msgspec.structs import replace

from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Consumer,
    Fault,
    Group,
    Payload,
    Policy,
    Publish,
    Scenario,
    Topic,
)


class Unit(NamedTuple):
    """One thing of a scenario: a publish (a: call), a behaviour (a: group, b: call), a group (a), a consumer
    (a: group, b: its number), or a fault (a: its place)."""

    kind: str
    a: int
    b: int = 0


def units(scenario: Scenario) -> list[Unit]:
    """All that can be left out, what costs most first."""
    groups = [Unit("group", number) for number in range(len(scenario.groups))]
    consumers = [
        Unit("consumer", g, c) for g, group in enumerate(scenario.groups) for c in range(len(group.consumers))
    ]
    publishes = [Unit("publish", step.call) for step in scenario.publishes]
    return [
        *groups,
        *consumers,
        *publishes,
        *(Unit("behaviour", b.group, b.call) for b in scenario.behaviours),
        *(Unit("fault", place) for place in range(len(scenario.faults))),
    ]


def restrict(scenario: Scenario, kept: list[Unit]) -> Scenario:
    """The scenario with these units alone; what hangs on a missing one goes with it."""
    keep = set(kept)
    publishers = tuple(
        tuple(step for step in steps if Unit("publish", step.call) in keep) for steps in scenario.publishers
    )
    chosen = [g for g in range(len(scenario.groups)) if Unit("group", g) in keep]
    calls = {step.call for steps in publishers for step in steps}
    before = _before(scenario, calls)
    groups = tuple(_consumers(scenario.groups[g], g, keep, before) for g in chosen)
    behaviours = tuple(
        replace(b, group=chosen.index(b.group))
        for b in scenario.behaviours
        if b.group in chosen and b.call in calls and Unit("behaviour", b.group, b.call) in keep
    )
    return replace(
        scenario,
        publishers=tuple(filter(None, publishers)),
        groups=groups,
        behaviours=behaviours,
        faults=tuple(_faults(scenario, keep, chosen)),
    )


def _faults(scenario: Scenario, keep: set[Unit], chosen: list[int]) -> Iterator[Fault]:
    """Those that are kept, and whom they befall is too."""
    for place, fault in enumerate(scenario.faults):
        if Unit("fault", place) not in keep:
            continue
        if fault.group is None:
            yield fault
        elif fault.group in chosen and Unit("consumer", fault.group, fault.consumer) in keep:
            before = (Unit("consumer", fault.group, number) in keep for number in range(fault.consumer))
            yield replace(fault, group=chosen.index(fault.group), consumer=sum(before))


def _before(scenario: Scenario, kept: set[int]) -> list[int]:
    """For each number of publishes how many of that many first ones are kept: so a consumer that joins
    after so many joins between the same two as before."""
    calls = sorted(step.call for step in scenario.publishes)
    return [0, *accumulate(call in kept for call in calls)]


def _consumers(group: Group, number: int, keep: set[Unit], before: list[int]) -> Group:
    kept = [c for n, c in enumerate(group.consumers) if Unit("consumer", number, n) in keep]
    return replace(
        group, consumers=tuple(replace(c, joins=before[min(c.joins, len(before) - 1)]) for c in kept)
    )


def simpler(scenario: Scenario) -> Iterator[Scenario]:
    """Scenarios that are simpler by one thing, the most telling first."""
    yield from _simpler_whole(scenario)
    for number, behaviour in enumerate(scenario.behaviours):
        for acts in _simpler_acts(behaviour):
            yield replace(
                scenario, behaviours=_put(scenario.behaviours, number, replace(behaviour, acts=acts))
            )
    for number, group in enumerate(scenario.groups):
        for other in _simpler_group(group):
            yield replace(scenario, groups=_put(scenario.groups, number, other))
    for number, steps in enumerate(scenario.publishers):
        for place, step in enumerate(steps):
            for other_step in _defaults(
                step, Publish(call=step.call, event=step.event), "after", "expires", "payload", "type"
            ):
                yield replace(
                    scenario, publishers=_put(scenario.publishers, number, _put(steps, place, other_step))
                )


def _simpler_whole(scenario: Scenario) -> Iterator[Scenario]:
    if any(payload != Payload() for payload in scenario.payloads):
        yield replace(scenario, payloads=(Payload(),) * len(scenario.payloads))
    if len(scenario.publishers) > 1:
        yield replace(scenario, publishers=(tuple(sorted(scenario.publishes, key=lambda step: step.call)),))
    if any(step.pipelined for step in scenario.publishes):
        steps = tuple(
            tuple(replace(step, pipelined=False) for step in steps) for steps in scenario.publishers
        )
        yield replace(scenario, publishers=steps)
    for number, topic in enumerate(scenario.topics):
        for other in _defaults(topic, Topic(), "partitions", "window"):
            yield replace(scenario, topics=_put(scenario.topics, number, other))
    yield from _fewer_topics(scenario)


def _fewer_topics(scenario: Scenario) -> Iterator[Scenario]:
    """Without the last topic, if nobody uses it."""
    last = len(scenario.topics) - 1
    used = {step.topic for step in scenario.publishes} | {group.topic for group in scenario.groups}
    if last and last not in used:
        yield replace(scenario, topics=scenario.topics[:last])


def _simpler_acts(behaviour: Behaviour) -> Iterator[tuple[Act, ...]]:
    acts = behaviour.acts
    for number, act in enumerate(acts):
        if len(acts) > 1:
            yield acts[:number] + acts[number + 1 :]
        if act.do == "nack" and act.ticks is not None:
            yield _put(acts, number, Act(do="nack"))


def _simpler_group(group: Group) -> Iterator[Group]:
    for number, consumer in enumerate(group.consumers):
        for other in _defaults(consumer, Consumer(), "joins", "sequential", "conflicting"):
            yield replace(group, consumers=_put(group.consumers, number, other))
    plain = Policy(max_in_flight=1)  # the smallest bound takes the fewest events to break
    for policy in _defaults(group.policy, plain, *Policy.__struct_fields__):
        yield replace(group, policy=policy)


def _defaults(value: Any, default: Any, *fields: str) -> Iterator[Any]:
    for field in fields:
        if getattr(value, field) != getattr(default, field):
            yield replace(value, **{field: getattr(default, field)})


def _put(values: tuple[Any, ...], number: int, value: Any) -> tuple[Any, ...]:
    return (*values[:number], value, *values[number + 1 :])
