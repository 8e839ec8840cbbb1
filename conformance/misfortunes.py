"""The faults that scenarios are drawn with: so placed that they meet something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeGuard, get_args

from msgspec.structs import replace

from eventproof.adapters.policy import Policy as Wanted
from eventproof.conformance.behaviours import LATE
from eventproof.conformance.history.record import History, Record
from eventproof.conformance.history.recorder import NANOSECONDS
from eventproof.conformance.numbers import Numbers
from eventproof.conformance.scenario import (
    TYPES,
    Act,
    Behaviour,
    Consumer,
    Fault,
    Group,
    Moment,
    Publish,
    Scenario,
)

BEFALLS: tuple[Literal["kill", "freeze", "restart"], ...] = (
    "kill", "kill", "freeze", "kill", "kill", "restart",
)  # fmt: skip
MOMENTS: tuple[Moment, ...] = (
    "publish.invoke", "publish.invoke", "publish.invoke", "publish.invoke",
    "ack.invoke", "ack.invoke", "ack.ok", "nack.ok",
)  # fmt: skip
OF_CONSUMERS: tuple[Moment, ...] = ("deliver", "deliver", "deliver", "ack.ok", "nack.ok", "nack.ok")
TURNS = (0, 1)
WAIT, HOLD = Act(do="nack", ticks=8), Act(do="hold", ticks=2)  # the first for longer than a broker is away
FAIL = (Act(do="nack", ticks=1),) * 4
MORE = (FAIL, (WAIT,), (WAIT,), (WAIT,), (HOLD,), (HOLD,), (HOLD,), (Act(do="reject"),))  # groups do besides
STRUCK: Mapping[str, Literal["kill", "freeze", "restart"]] = {
    "broker.killed": "kill",
    "broker.paused": "freeze",
    "broker.stopped": "restart",
}
HEALED = ("broker.ready", "broker.resumed")
BYTE = 256
DOWN, STILL = (1, 2, 3), (2, 4, 6)  # ticks for which a broker is away, and for which it stands still
LONGER = 20  # ticks by which a window outlasts what a broker is away
UNBEFALLEN = 3  # of eight scenarios, those without a fault of a consumer


def befallen(numbers: Numbers, scenario: Scenario) -> Scenario:
    """The scenario with a fault of the broker, and in most cases some of consumers. Publishers repeat what
    they are in doubt about, half of them all at once; some early events wait for their next attempt."""
    pipelined, count = numbers.below(2) == 0, len(scenario.publishes)
    publishers = tuple(
        tuple(_doubting(step, pipelined=pipelined) for step in steps) for steps in scenario.publishers
    )
    scenario = replace(scenario, behaviours=_more(numbers, scenario))
    group, wanted = _busiest(scenario)
    faults = [_of_broker(numbers, count, len(wanted))]
    if faults[0].after == "nack.ok":  # one of the two may be in the hands of a consumer that is killed
        scenario = _nacked(scenario, group, wanted[:2])
    if wanted and numbers.below(8) >= UNBEFALLEN:
        scenario, of_consumer = _with_fallen(numbers, scenario, group, wanted)
        faults.append(of_consumer)
    topics = tuple(replace(one, window=one.window and one.window + LONGER) for one in scenario.topics)
    return replace(scenario, topics=topics, publishers=publishers, faults=tuple(faults))


def in_turn(scenario: Scenario, turn: int) -> Scenario:
    """The same with a fault of the broker of the kind whose turn it is: few scenarios lead, and they have
    to show each kind."""
    do = BEFALLS[turn % len(BEFALLS)]
    faults = (
        replace(one, do=do, ticks=_ticks(do, one.count)) if one.group is None else one
        for one in scenario.faults
    )
    return replace(scenario, faults=tuple(faults))


def without_broker_faults(scenario: Scenario) -> Scenario:
    """The same for one that others lead."""
    return replace(scenario, faults=tuple(fault for fault in scenario.faults if fault.group is not None))


def as_met(scenario: Scenario, history: History) -> Scenario:
    """The same with the faults of the broker that another one led, due when they came: to be tried alone."""
    if scenario.broker_faults:
        return scenario
    met = tuple(_met(history, record) for record in history.records if record.kind in STRUCK)
    return replace(scenario, faults=(*scenario.faults, *(fault for fault in met if fault is not None)))


def is_moment(kind: str) -> TypeGuard[Moment]:
    """Whether a fault can wait for records of the kind."""
    return kind in get_args(Moment)


def _met(history: History, sign: Record) -> Fault | None:
    """The fault that the record tells of, due with the last record before it that a fault can wait for."""
    kinds = (record.kind for record in history.records[: sign.i - 1])
    before: list[Moment] = [kind for kind in kinds if is_moment(kind)]
    if not before:
        return None
    end = next((r for r in history.records[sign.i :] if r.kind in HEALED), None)
    ticks = None if end is None else max(1, round((end.t - sign.t) / NANOSECONDS / history.header.tick))
    do = STRUCK[sign.kind]
    count = before.count(before[-1])
    return Fault(do=do, after=before[-1], count=count, ticks=None if do == "restart" else ticks)


def bearable(scenario: Scenario, able: frozenset[str]) -> Scenario:
    """The same with the faults alone that a run is able to make."""
    return replace(scenario, faults=tuple(fault for fault in scenario.faults if fault.name in able))


def _doubting(step: Publish, *, pipelined: bool) -> Publish:
    """Three calls of four are repeated, if they have to be, once or twice."""
    return replace(step, repeats=(0, 1, 1, 2)[step.call % 4], pipelined=pipelined or step.pipelined)


def _more(numbers: Numbers, scenario: Scenario) -> tuple[Behaviour, ...]:
    """The behaviours, with some more in each group for calls that have none: what is in the air when a fault
    comes is what it may take."""
    found = {(one.group, one.call): one for one in scenario.behaviours}
    calls = [step.call for step in scenario.publishes]
    for group, one in enumerate(scenario.groups):
        for acts in MORE:
            call = calls[numbers.below(min(len(calls), BYTE))]
            if acts[0].do != "reject" or one.policy.max_attempts is not None:
                found.setdefault((group, call), Behaviour(group=group, call=call, acts=acts))
    return tuple(found.values())


def _of_broker(numbers: Numbers, count: int, settled: int) -> Fault:
    """count: publishes. settled: events with settlements that it can wait for."""
    do, after = numbers.pick(BEFALLS), numbers.pick(MOMENTS) if settled > 1 else MOMENTS[0]
    most = count * 3 // 4 if after == "publish.invoke" else settled // 4 if after != "nack.ok" else 1
    return Fault(
        do=do,
        after=after,
        count=1 + numbers.below(256) % max(1, most),
        turns=numbers.pick(TURNS),
        ticks=_ticks(do, numbers.below(BYTE)),
    )


def _ticks(do: Literal["kill", "freeze", "restart"], number: int) -> int | None:
    """For how long a broker is away, or stands still; a restart takes as long as it takes."""
    choices = {"kill": DOWN, "freeze": STILL, "restart": (None,)}[do]
    return choices[number % len(choices)]


def _with_fallen(
    numbers: Numbers, scenario: Scenario, group: int, wanted: Sequence[int]
) -> tuple[Scenario, Fault]:
    """The scenario with a fault of a consumer in the group, which gets the events of the calls."""
    company = _company(scenario.groups[group], len(scenario.publishes))
    fault = _of_consumer(numbers, group, len(wanted))
    if fault.after == "nack.ok":
        scenario = _nacked(scenario, group, wanted[:1])
    groups = (*scenario.groups[:group], company, *scenario.groups[group + 1 :])
    return replace(scenario, groups=groups), fault


def _nacked(scenario: Scenario, group: int, calls: Sequence[int]) -> Scenario:
    """The same, where the group gives the events of the calls back first."""
    first = (Behaviour(group=group, call=call, acts=(WAIT,)) for call in calls)
    others = (one for one in scenario.behaviours if one.group != group or one.call not in calls)
    return replace(scenario, behaviours=(*first, *others))


def _busiest(scenario: Scenario) -> tuple[int, Sequence[int]]:
    """The group that gets most, and the calls of which it surely gets the events."""
    wanted = [list(surely_got(scenario, group)) for group in scenario.groups]
    number = max(range(len(wanted)), key=lambda n: len(wanted[n]))
    return number, wanted[number]


def surely_got(scenario: Scenario, group: Group) -> Iterator[int]:
    """Calls of which a group that was there from the start surely gets the events: none for one that begins
    later."""
    policy, seen = Wanted(types=group.policy.types), set[int]()
    for step in scenario.publishes if group.policy.start == "earliest" else ():
        stored = scenario.payloads[step.payload].kind != "oversize" and step.expires is None
        if stored and step.topic == group.topic and step.event not in seen and policy.wants(TYPES[step.type]):
            seen.add(step.event)
            yield step.call


def _of_consumer(numbers: Numbers, group: int, most: int) -> Fault:
    """A kill of the group's first consumer, at a hand-out or with a settlement under way, or a freeze that no
    lease outlasts. most: events that the group gets."""
    kill, count, turns = numbers.below(3) > 0, numbers.pick((1, 1, 2, 3)), numbers.pick(TURNS)
    after = numbers.pick(OF_CONSUMERS) if kill else "deliver"
    return Fault(
        do="kill" if kill else "freeze",
        group=group,
        after=after,
        count=1 if after == "nack.ok" else max(1, min(count, most // 3)),
        turns=turns if kill else 0,
        ticks=numbers.pick((None, 2)) if kill else LATE.ticks,
    )


def _company(group: Group, count: int) -> Group:
    """The group with three members of one mind: the first has the events for itself, until others come who
    can take over."""
    first, *others = (replace(one, conflicting=False, sequential=False) for one in group.consumers)
    members = (*others, Consumer(), Consumer())[:2]
    late = (replace(one, joins=1 + count // 3) for one in members)
    return replace(group, consumers=(replace(first, joins=0), *late))
