"""A broker that is broken under faults alone: each is found in a scenario that has its fault, and the correct
broker is not accused there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest

from eventproof.adapters.memory import Engine
from eventproof.conformance.execution.participant import likeness
from eventproof.conformance.execution.stage import run_on, stage
from eventproof.conformance.history.record import History
from eventproof.conformance.mutants import MUTANTS, kills, participants
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import Act, Behaviour, Consumer, Fault, Group, Policy, Publish, Scenario
from eventproof.conformance.targets.memory import MemoryTarget, connect

EVENTS = range(1, 31)
PAIR = (Consumer(), Consumer())


def scenario(
    *struck: Fault, acts: Sequence[Act] = (), steps: Sequence[Publish] = (), keys: int = 0, **policy: Any
) -> Scenario:
    """Thirty events, without a key or of so many keys, for two consumers that do the same with each."""
    steps = steps or [Publish(call=n, event=n, key=1 + n % keys if keys else 0) for n in EVENTS]
    return Scenario(
        publishers=(tuple(steps),),
        groups=(Group(policy=Policy(**policy), consumers=PAIR),),
        behaviours=tuple(Behaviour(group=0, call=step.call, acts=tuple(acts)) for step in steps if acts),
        faults=struck,
    )


def kill(after: str, count: int, **more: Any) -> Fault:
    return Fault(do="kill", after=after, count=count, **{"ticks": 1, **more})


def lose(after: str, count: int, do: str = "kill", **more: Any) -> Fault:
    return Fault(do=do, group=0, consumer=1, after=after, count=count, **more)


LONG = Act(do="hold", ticks=3)
HOLD, REJECT, NACK, DELAY = (
    Act(do="hold", ticks=2),
    Act(do="reject"),
    Act(do="nack", ticks=0),
    Act(do="nack", ticks=10),
)
TOGETHER = [Publish(call=n, event=n, pipelined=True, repeats=1) for n in EVENTS]
TWICE = [Publish(call=n, event=1 + (n - 1) % 15, after=5 * (n == 16)) for n in EVENTS]
LETTERS = scenario(kill("deliver", 25), acts=[REJECT], max_attempts=3)
IN_FLIGHT = scenario(kill("publish.invoke", 30), steps=TOGETHER)
HELD = scenario(lose("deliver", 12), acts=[HOLD, HOLD])

FOUND: dict[type[Engine], tuple[str, list[Scenario]]] = {
    kills.LosesMessagesOnKill: ("B2", [scenario(kill("deliver", 6), acts=[HOLD], max_in_flight=2)]),
    kills.LosesDeadLettersOnKill: ("E5", [LETTERS]),
    kills.ForgetsAcksOnKill: ("C1", [scenario(kill("ack.ok", 20))]),
    kills.ForgetsAttemptsOnKill: ("E1l", [scenario(kill("nack.ok", 40), acts=[NACK, NACK])]),
    kills.ForgetsDelaysOnKill: ("E3", [scenario(kill("nack.ok", 25), acts=[DELAY])]),
    kills.ForgetsIdentitiesOnKill: ("C5", [scenario(kill("publish.ok", 15), steps=TWICE)]),
    kills.BuriesTwiceOnKill: ("E7n", [LETTERS]),
    kills.NeverComesBack: ("L2", [scenario(kill("publish.ok", n)) for n in range(1, 13)]),
    kills.DeniesWhatItStored: ("A2", [IN_FLIGHT]),
    kills.ConfirmsWhatItLost: ("B2", [IN_FLIGHT]),
    kills.StoresRepeatsAfterDoubt: ("C5", [IN_FLIGHT]),
    participants.LosesWhatTheKilledHeld: ("B3", [HELD]),
    participants.ForgetsAcksOfTheKilled: ("C1", [scenario(lose("ack.ok", 12), acts=[HOLD])]),
    participants.LosesWhatTheFrozenHeld: (
        "B3",
        [scenario(lose("deliver", 12, "freeze", ticks=6), acts=[HOLD])],
    ),
    participants.ForgetsAttemptsOfTheKilled: ("E1l", [HELD]),
    participants.ForgetsDelaysOfTheKilled: ("E3", [scenario(lose("nack.ok", 12), acts=[DELAY, DELAY])]),
    participants.HandsOnTooEarlyAfterLoss: ("D2", [scenario(lose("deliver", 6), acts=[HOLD], keys=15)]),
    participants.AcceptsAcksAfterAPause: (
        "C8",
        [scenario(lose("deliver", 12, "freeze", ticks=6), acts=[HOLD, LONG])],
    ),
}


def histories(engine: type[Engine], scenarios: Sequence[Scenario]) -> list[History]:
    """Each on a broker where consumers can be killed and frozen."""

    async def work() -> list[History]:
        plugin = Plugin("memory", partial(connect, engine=engine), MemoryTarget())
        async with stage(plugin, name="test", url=None, options={}, claims=lambda own: own) as on:
            sever = on.site.facilities.sever
            assert sever is not None
            on.site = msgspec.structs.replace(on.site, spawn=lambda: likeness(site.connect, sever))
            site = on.site
            return await on.run(scenarios)

    return run_on("virtual", work)


def anomalies(engine: type[Engine], scenarios: Sequence[Scenario]) -> Iterator[str]:
    for history in histories(engine, scenarios):
        yield from (finding.code for finding in judge(history) if finding.violations)


@pytest.mark.parametrize("engine", FOUND, ids=lambda engine: engine.__name__)
def test_a_broker_that_a_fault_breaks_is_found_and_the_correct_one_is_not(engine: type[Engine]) -> None:
    anomaly, scenarios = FOUND[engine]
    assert anomaly in anomalies(engine, scenarios)
    assert anomaly not in anomalies(Engine, scenarios)


def test_every_broker_that_is_broken_under_faults_is_tried() -> None:
    assert {one.engine for one in MUTANTS if one.fault} == set(FOUND)


def test_each_says_what_it_does_in_a_line() -> None:
    for engine in FOUND:
        said = engine.__doc__ or ""
        assert said[0].islower()
        assert "\n" not in said
        assert not said.endswith(".")
