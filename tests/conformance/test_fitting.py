"""A scenario asks an adapter for nothing that it must refuse, and for all the rest."""

from __future__ import annotations

import msgspec
import pytest

from eventproof.adapters.claims import Claims
from eventproof.conformance.fitting import fit
from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Consumer,
    Group,
    Policy,
    Publish,
    Scenario,
    inconsistencies,
)
from eventproof.conformance.strategies import generate, structure
from tests.conformance.histories import STRONG

ACK, NACK, REJECT = Act(), Act(do="nack"), Act(do="reject")
DEMANDING = Scenario(
    publishers=((Publish(call=1, event=1),),),
    groups=(
        Group(policy=Policy(max_attempts=2, types=("a.*",)), consumers=(Consumer(conflicting=True),)),
        Group(policy=Policy(start="latest", max_in_flight=2)),
    ),
    behaviours=(Behaviour(group=0, call=1, acts=(NACK, REJECT)),),
)


@pytest.fixture(scope="module")
def corpus() -> list[Scenario]:
    return generate(400, 11)


def offered(**changes: object) -> Claims:
    return msgspec.structs.replace(STRONG, **changes)


def test_an_adapter_that_offers_everything_is_asked_for_everything(corpus: list[Scenario]) -> None:
    assert [fit(scenario, STRONG) for scenario in corpus] == corpus


def test_without_replay_groups_begin_at_the_latest_event_and_keep_the_rest() -> None:
    fitted = fit(DEMANDING, offered(replay="none"))
    assert [group.policy.start for group in fitted.groups] == ["latest", "latest"]
    assert fitted.groups[0].policy == msgspec.structs.replace(DEMANDING.groups[0].policy, start="latest")
    assert fitted.behaviours == DEMANDING.behaviours
    assert fitted.groups[0].consumers == DEMANDING.groups[0].consumers


def test_without_dead_letters_nothing_is_given_up_and_nobody_rejects() -> None:
    fitted = fit(DEMANDING, offered(dead_letter="none"))
    assert [group.policy.max_attempts for group in fitted.groups] == [None, None]
    assert fitted.behaviours[0].acts == (NACK, NACK)
    assert fitted.groups[0].policy.start == "earliest"
    assert fitted.groups[1] == DEMANDING.groups[1]


def test_nobody_contradicts_a_group_that_has_no_policy_of_its_own() -> None:
    fitted = fit(DEMANDING, offered(groups="present"))
    assert fitted.groups[0].consumers == (Consumer(),)
    assert fitted.groups[0].policy == DEMANDING.groups[0].policy
    assert fitted.groups[1] == DEMANDING.groups[1]


@pytest.mark.parametrize(
    "axis", [{}, {"replay": "none"}, {"dead_letter": "none"}, {"groups": "present"}], ids=str
)
def test_what_fits_stays_as_it_is_and_is_a_scenario(corpus: list[Scenario], axis: dict[str, str]) -> None:
    claims = offered(**axis) if axis else Claims()
    fitted = [fit(scenario, claims) for scenario in corpus]
    assert [fit(scenario, claims) for scenario in fitted] == fitted
    assert not [wrong for scenario in fitted for wrong in inconsistencies(scenario)]
    assert [len(scenario.publishes) for scenario in fitted] == [len(one.publishes) for one in corpus]


def test_fitted_scenarios_still_differ(corpus: list[Scenario]) -> None:
    assert len({structure(fit(scenario, Claims())) for scenario in corpus}) >= 0.9 * len(corpus)


def test_most_groups_have_a_member_before_anything_is_published(corpus: list[Scenario]) -> None:
    """Else a broker that keeps nothing is shown little."""
    groups = [group for scenario in corpus for group in fit(scenario, Claims()).groups]
    early = [group for group in groups if any(not (c.joins or c.conflicting) for c in group.consumers)]
    assert len(early) >= 0.7 * len(groups)
