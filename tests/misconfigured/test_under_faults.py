"""Lies that only a fault brings out are caught: a real server is killed, and processes are killed and frozen.

The correct adapter goes through the same, and is accused of nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pytest
from msgspec.structs import replace

from eventproof.adapters.claims import Claims, Redelivery
from eventproof.adapters.nats.claims import CONSUMER_LOSS
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.verdict import Verdict
from tests.misconfigured import scenarios
from tests.misconfigured.judging import Judged, broken
from tests.misconfigured.under_faults import befall, correct, lying, told

AT_ONCE = 3  # stages side by side


@dataclass(frozen=True)
class Lie:
    """A mistake, and what the suite is to make of it.

    requirement: what has to fall, by the anomaly; also: what that entails. tried: with the fault.
    truth: from what the author claims to what the adapter really keeps. correct: the verdict on the correct
    adapter. lines: of the counterexample, at most.
    """

    name: str
    requirement: str
    anomaly: str
    tried: Sequence[Scenario]
    truth: Callable[[Claims], Claims]
    also: frozenset[str] = frozenset()
    lines: int = 16
    correct: Literal["pass", "not claimed"] = "pass"


def surviving(state: str) -> Callable[[Claims], Claims]:
    """The same claims, but a kill of the broker takes that state."""
    return lambda claims: replace(claims, survives=replace(claims.survives, **{state: CONSUMER_LOSS}))


LIES = (
    Lie(
        "memory_storage",
        "DUR-004",
        "B2",
        [scenarios.UNHANDLED],
        lambda claims: replace(surviving("messages")(claims), positions=False),
        also=frozenset({"A5", "B3", "B4"}),
    ),
    Lie(
        "durable_acks",
        "DUR-005",
        "C1",
        [scenarios.JUST_ACKED],
        surviving("acks"),
        correct="not claimed",
    ),
    Lie("work_queue", "DUR-008", "C5", [scenarios.REPEATED], surviving("dedup")),
    Lie(
        "no_fencing",
        "GRP-006",
        "C8",
        [scenarios.STOOD_STILL] * 6,
        lambda claims: replace(claims, fencing="none"),
    ),
    Lie(
        "ack_on_receipt",
        "GRP-003",
        "B2",
        [scenarios.FETCHED],
        lambda claims: replace(claims, loss="may", redelivery=Redelivery()),
        also=frozenset({"B3", "B4"}),
    ),
)


@pytest.fixture(scope="module")
def judged() -> Mapping[tuple[str, str], Judged]:
    """By lie and adapter, "lie" or "correct"."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(lie: Lie, who: str) -> Judged:
        async with room:
            plugin = lying(lie.name) if who == "lie" else correct()
            return await befall(plugin, f"{lie.name.replace('_', '-')}-{who}", lie.tried)

    async def all_of_them() -> list[Judged]:
        return await asyncio.gather(*(one(lie, who) for lie, who in runs))

    runs = [(lie, who) for lie in LIES for who in ("lie", "correct")]
    return dict(zip(((lie.name, who) for lie, who in runs), asyncio.run(all_of_them()), strict=True))


each = pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)


def verdict_on(requirement: str, found: Sequence[Verdict]) -> Verdict:
    return next(one for one in found if one.requirement == requirement)


@each
def test_cnf_001_the_mistake_is_found_under_its_fault(
    lie: Lie, judged: Mapping[tuple[str, str], Judged]
) -> None:
    found = judged[lie.name, "lie"]
    verdict = verdict_on(lie.requirement, found.verdicts)
    assert verdict.state == "fail"
    assert lie.anomaly in verdict.anomalies
    assert broken(found.verdicts) <= {lie.anomaly} | lie.also


@each
def test_the_correct_adapter_goes_through_the_same_unharmed(
    lie: Lie, judged: Mapping[tuple[str, str], Judged]
) -> None:
    found = judged[lie.name, "correct"]
    assert not broken(found.verdicts)
    assert verdict_on(lie.requirement, found.verdicts).state == lie.correct


@each
def test_the_same_histories_accuse_nobody_of_what_is_not_claimed(
    lie: Lie, judged: Mapping[tuple[str, str], Judged]
) -> None:
    believed = judged[lie.name, "lie"]
    found = believed.by(lie.truth(believed.claims))
    assert not broken(found)
    assert verdict_on(lie.requirement, found).state == "not claimed"


@each
def test_the_counterexample_is_small(lie: Lie, judged: Mapping[tuple[str, str], Judged]) -> None:
    story = told(judged[lie.name, "lie"], lie.anomaly)
    assert any(line.startswith("→") for line in story)
    assert len(story) <= lie.lines, "\n".join(story)
