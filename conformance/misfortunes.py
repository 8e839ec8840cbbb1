"""The faults that scenarios are drawn with: so placed that they meet something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec.structs import replace

from eventproof.conformance.behaviours import LATE
from eventproof.conformance.numbers import Numbers
from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Consumer,
    Fault,
    Group,
    Moment,
    Publish,
    Scenario,
)

BEFALLS: tuple[Literal["kill", "freeze", "restart"], ...] = ("kill", "kill", "freeze", "restart")
MOMENTS: tuple[Moment, ...] = (
    "publish.invoke", "publish.invoke", "publish.invoke", "ack.invoke", "ack.invoke", "ack.ok", "nack.ok",
)  # fmt: skip
OF_CONSUMERS: tuple[Moment, ...] = ("deliver", "deliver", "deliver", "ack.ok", "nack.ok")
TURNS = (1, 0, 2, 4)
WAITING = 2  # calls of each group that wait
WAIT = Act(do="nack", ticks=8)  # longer than a broker is away
DOWN, STILL = (1, 2, 3), (2, 4, 6)  # ticks for which a broker is away, and for which it stands still
UNBEFALLEN = 2  # of eight scenarios, those without a fault of a consumer


def befallen(numbers: Numbers, scenario: Scenario) -> Scenario:
    """The scenario with a fault of the broker, and in most cases some of consumers. Publishers repeat what
    they are in doubt about, half of them all at once; some early events wait for their next attempt."""
    pipelined, count = numbers.below(2) == 0, len(scenario.publishes)
    publishers = tuple(
        tuple(_doubting(step, pipelined=pipelined) for step in steps) for steps in scenario.publishers
    )
    faults = [_of_broker(numbers, count)]
    scenario = replace(scenario, behaviours=_waiting(numbers, scenario))
    if numbers.below(8) >= UNBEFALLEN:
        group = numbers.below(len(scenario.groups))
        faults += _of_consumers(numbers, group)
        groups = (_company(one) if n == group else one for n, one in enumerate(scenario.groups))
        scenario = replace(scenario, groups=tuple(groups))
    return replace(scenario, publishers=publishers, faults=tuple(faults))


def without_broker_faults(scenario: Scenario) -> Scenario:
    """The same for one that others lead."""
    return replace(scenario, faults=tuple(fault for fault in scenario.faults if fault.group is not None))


def bearable(scenario: Scenario, able: frozenset[str]) -> Scenario:
    """The same with the faults alone that a run is able to make."""
    return replace(scenario, faults=tuple(fault for fault in scenario.faults if fault.name in able))


def _doubting(step: Publish, *, pipelined: bool) -> Publish:
    """Three calls of four are repeated, if they have to be, once or twice."""
    return replace(step, repeats=(0, 1, 1, 2)[step.call % 4], pipelined=pipelined or step.pipelined)


def _waiting(numbers: Numbers, scenario: Scenario) -> tuple[Behaviour, ...]:
    """The behaviours, with some of a long nack for an early call of each group that has none."""
    taken = {(one.group, one.call) for one in scenario.behaviours}
    calls = [step.call for step in scenario.publishes]
    wanted = [
        (group, calls[numbers.below(len(calls))]) for group in range(len(scenario.groups)) for _ in "ab"
    ]
    new = {pair: Behaviour(group=pair[0], call=pair[1], acts=(WAIT,)) for pair in wanted if pair not in taken}
    return (*scenario.behaviours, *new.values())


def _of_broker(numbers: Numbers, count: int) -> Fault:
    do = numbers.pick(BEFALLS)
    return Fault(
        do=do,
        after=numbers.pick(MOMENTS),
        count=1 + numbers.below(256) % max(1, count // 2),
        turns=numbers.pick(TURNS),
        ticks=None if do == "restart" else numbers.pick(DOWN if do == "kill" else STILL),
    )


def _of_consumers(numbers: Numbers, group: int) -> Sequence[Fault]:
    """One for the group's first consumer, and in one case of four another one for its second."""
    first = _of_consumer(numbers, group, 0)
    return (first,) if numbers.below(4) else (first, _of_consumer(numbers, group, 1))


def _of_consumer(numbers: Numbers, group: int, consumer: int) -> Fault:
    """A kill, at a hand-out or with a settlement under way; or a freeze that no lease outlasts."""
    kill, count, turns = numbers.below(3) > 0, numbers.pick((1, 1, 2, 3)), numbers.pick(TURNS)
    return Fault(
        do="kill" if kill else "freeze",
        group=group,
        consumer=consumer,
        after=numbers.pick(OF_CONSUMERS) if kill else "deliver",
        count=count,
        turns=turns if kill else 0,
        ticks=numbers.pick((None, 2)) if kill else LATE.ticks,
    )


def _company(group: Group) -> Group:
    """The group with three members of one mind, so that somebody can take over."""
    first, *others = (replace(one, conflicting=False, sequential=False) for one in group.consumers)
    members = [first, *others, Consumer(joins=first.joins), Consumer(joins=first.joins)][:3]
    return replace(group, consumers=(first, *(replace(one, joins=first.joins) for one in members[1:])))
