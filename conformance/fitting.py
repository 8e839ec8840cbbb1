"""Fit a scenario to what an adapter offers: it is not asked for what it must refuse.

By the adapter's own claims, never by those that somebody else wants to see judged: a group that asks for a
replay is refused by a broker that has none, and shows nothing of it.
"""

from __future__ import annotations

from msgspec.structs import replace

from eventproof.adapters.claims import Claims
from eventproof.conformance.scenario import Act, Behaviour, Group, Scenario


def fit(scenario: Scenario, offered: Claims) -> Scenario:
    """The scenario with policies that the adapter can keep; one that fits stays as it is.

    Without replay every group starts at the latest event. Without dead letters there is no last attempt,
    and a consumer that would reject an event nacks it. Where a group has no policy of its own no member
    contradicts it: which lease then holds is nobody's to say, and nothing could be judged by it.
    """
    if offered.replay == "none":
        groups = tuple(_from_now_on(group) for group in scenario.groups)
        scenario = replace(scenario, groups=groups)
    if offered.dead_letter == "none":
        groups = tuple(_unlimited(group) for group in scenario.groups)
        behaviours = tuple(_without_reject(behaviour) for behaviour in scenario.behaviours)
        scenario = replace(scenario, groups=groups, behaviours=behaviours)
    if offered.groups == "present":
        scenario = replace(scenario, groups=tuple(_of_one_mind(group) for group in scenario.groups))
    return scenario


def _from_now_on(group: Group) -> Group:
    return replace(group, policy=replace(group.policy, start="latest"))


def _unlimited(group: Group) -> Group:
    return replace(group, policy=replace(group.policy, max_attempts=None))


def _of_one_mind(group: Group) -> Group:
    return replace(group, consumers=tuple(replace(one, conflicting=False) for one in group.consumers))


def _without_reject(behaviour: Behaviour) -> Behaviour:
    acts = tuple(Act(do="nack") if act.do == "reject" else act for act in behaviour.acts)
    return replace(behaviour, acts=acts)
