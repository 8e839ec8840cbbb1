"""The tester is tested: each rule has a broken broker that it must catch, and each broken broker its rule."""

from __future__ import annotations

from functools import cache
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from eventproof.conformance import selftest as tester
from eventproof.conformance import suite
from eventproof.conformance.explain import SMALL
from eventproof.conformance.mutants import MUTANTS, ODD, Mutant
from eventproof.conformance.mutants.mutant import ONE_IN, rarely
from eventproof.conformance.report.matrix import render, save
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.selftest import BROKERS, Kill, Selftest, attempt, plugin
from eventproof.conformance.strategies import generate
from tests.conformance.brokers import broken, judged, run


@cache
def corpus() -> list[Scenario]:
    return generate(60, 1)


def named(name: str) -> Mutant:
    return next(mutant for mutant in (*MUTANTS, *ODD) if mutant.name == name)


class Quiet:
    """Follows a run and says nothing."""

    def phase(self, text: str, steps: int) -> None: ...

    def step(self) -> None: ...


def test_mutants_and_odd_brokers_have_names_of_their_own_and_say_what_they_do() -> None:
    names = [mutant.name for mutant in (*MUTANTS, *ODD)]
    assert len(set(names)) == len(names)
    for mutant in (*MUTANTS, *ODD):
        assert mutant.summary
        assert mutant.summary[0].islower()
        assert not mutant.summary.endswith(".")
    assert not [odd.name for odd in ODD if odd.anomaly]


# how mutants misbehave


def test_rarely_is_one_in_five_and_always_the_same() -> None:
    def hits() -> list[bool]:
        return [rarely(f"event-{number}") for number in range(5000)]

    assert ONE_IN == 5
    assert hits() == hits()
    assert sum(hits()) / 5000 == pytest.approx(1 / ONE_IN, abs=0.02)
    by_pair = [rarely(f"event-{number}", "g0") for number in range(5000)]
    assert sum(by_pair) / 5000 == pytest.approx(1 / ONE_IN, abs=0.02)
    assert by_pair != hits()


def test_a_mutant_leaves_most_events_alone() -> None:
    histories = run(corpus(), plugin(named("LosesEvents")))
    offered = sum(r.kind == "publish.ok" for h in histories for r in h.records)
    lost = judged(histories)["DLV-001"].violations
    assert 0 < lost < offered / ONE_IN


# a small self-test; the whole one is a command of its own


def kill(name: str) -> Kill:
    return attempt(60, 1, [broker.name for broker in BROKERS].index(name))


@pytest.mark.parametrize(
    ("name", "anomaly", "requirement"),
    [
        ("LosesEvents", "B2", "DLV-001"),
        ("StoresTwice", "C4", "DUP-001"),
        ("Overtakes", "D1", "ORD-003"),
        ("StopsHandingOut", "L1", "DLV-011"),
    ],
)
def test_a_broken_broker_is_caught_by_the_right_rule_and_in_few_steps(
    name: str, anomaly: str, requirement: str
) -> None:
    caught = kill(name)
    assert (caught.name, caught.anomaly) == (name, anomaly)
    assert caught.found[anomaly] >= 1
    assert requirement in caught.requirements
    assert 1 <= caught.after <= 60
    assert 1 <= caught.operations <= SMALL
    assert caught.right


def test_an_odd_broker_is_right_when_nothing_is_found() -> None:
    left_alone = kill("TellsNothing")
    assert (left_alone.found, left_alone.requirements, left_alone.right) == ({}, (), True)


def test_a_broken_broker_that_nothing_catches_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = msgspec.structs.replace(named("TellsNothing"), anomaly="B2")
    monkeypatch.setattr(tester, "BROKERS", (harmless,))
    missed = attempt(5, 1, 0)
    assert (missed.after, missed.right) == (0, False)


def test_the_selftest_tries_every_broken_and_odd_broker() -> None:
    assert (*MUTANTS, *ODD) == BROKERS


def test_the_selftest_passes_if_every_broker_was_judged_rightly_and_is_saved(tmp_path: Path) -> None:
    good = Kill(name="X", summary="x", anomaly="B2", found={"B2": 1}, requirements=(), after=1, operations=1)
    missed = msgspec.structs.replace(good, name="Y", after=0)
    result = Selftest(scenarios=5, seed=1, kills=(good,))
    assert result.passed
    assert not msgspec.structs.replace(result, kills=(good, missed)).passed
    save(result, tmp_path / "made")
    assert msgspec.json.decode((tmp_path / "made" / "matrix.json").read_bytes(), type=Selftest) == result
    said = Console(width=160, file=StringIO())
    said.print(render(msgspec.structs.replace(result, kills=(good, missed))))
    assert (
        "1 of 2 broken brokers caught by the right rule, 0 of 0 odd ones left alone" in said.file.getvalue()
    )  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({}, True),
        ({"after": 0}, False),
        ({"operations": SMALL + 1}, False),
        ({"anomaly": "", "found": {}}, True),
        ({"anomaly": "", "found": {"E8": 1}}, False),
    ],
)
def test_a_kill_is_right_if_its_own_rule_found_it_in_few_steps(
    change: dict[str, object], right: bool
) -> None:
    caught = Kill(
        name="X",
        summary="x",
        anomaly="B2",
        found={"B2": 3},
        requirements=(),
        after=2,
        operations=SMALL,
    )
    assert msgspec.structs.replace(caught, **change).right is right


HANGING: dict[str, str] = {"StopsHandingOut": "DLV-011", "StopsConfirming": "PUB-004"}


@pytest.mark.parametrize(("name", "requirement"), HANGING.items())
def test_cnf_002_a_broker_that_stops_is_a_hang(name: str, requirement: str) -> None:
    assert broken(run(corpus(), plugin(named(name))))[requirement] == "hang"


@pytest.mark.parametrize("name", [odd.name for odd in ODD])
def test_an_odd_but_legal_broker_is_left_alone(name: str) -> None:
    odd = named(name)
    assert broken(run(corpus(), plugin(odd), odd.claims, **odd.options)) == {}


def test_a_minimal_counterexample_shows_the_anomaly_again(tmp_path: Path) -> None:
    plan = suite.Plan(
        plugin=plugin(named("StoresTwice")), count=12, folder=tmp_path, profiles=("dedup",), budget=3.0
    )
    examples = {example.anomaly: example for example in suite.run(plan, Quiet()).counterexamples}
    assert examples["C4"].operations <= 3
    assert examples["C4"].shown == examples["C4"].reruns == 10
    assert any(line.startswith("→") for line in examples["C4"].story)
