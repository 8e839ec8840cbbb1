"""`eventproof run --tier fault`, and what was saved by it judged and run again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventproof.conformance.batch import load
from eventproof.conformance.history import files
from eventproof.conformance.report.report import Report
from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Consumer,
    Fault,
    Group,
    Policy,
    Publish,
    Scenario,
    encode,
)
from eventproof.conformance.verdict import Verdict

CONFORMANT, FAILED, PARTIAL = range(3)
ADAPTER = "from eventproof.conformance.targets.memory import MemoryTarget, connect\n"
LOSES = """
from functools import partial
from eventproof.adapters import memory
from eventproof.conformance.mutants.kills import LosesMessagesOnKill
from eventproof.conformance.targets.memory import target
connect = partial(memory.connect, engine=LosesMessagesOnKill)
"""
# Without some of what the memory target has: everything else is as it is there.
LESS = """
class Less(MemoryTarget):
    def __getattribute__(self, name):
        if name in {missing}:
            raise AttributeError(name)
        return super().__getattribute__(name)
target = Less()
"""
OF_THE_BROKER = {"broker-kill", "broker-pause", "broker-restart", "in-flight"}
OF_CONSUMERS = {"consumer-loss", "consumer-pause"}


def saved(folder: str) -> Report:
    return msgspec.json.decode(Path(folder, "report.json").read_bytes(), type=Report)


def under_faults(report: Report) -> list[Verdict]:
    return [verdict for verdict in report.verdicts if verdict.faults]


def lacking(*missing: str) -> str:
    """An adapter whose target lacks something."""
    Path("less.py").write_text(ADAPTER + LESS.replace("{missing}", repr(set(missing))))
    return "less.py:connect"


# all faults


def test_the_memory_broker_is_conformant_under_all_faults(eventproof: Any) -> None:
    ended = eventproof("run", "memory", "--tier", "fault", "--report", "out")
    assert ended.code == CONFORMANT, ended.out
    report = saved("out")
    assert (report.tier, set(report.profiles.values())) == ("fault", {"conformant"})
    judged = under_faults(report)
    assert len(judged) >= 15
    assert {verdict.state for verdict in judged} == {"pass"}
    assert all(verdict.exercised >= verdict.minimum for verdict in judged)
    assert re.search(r"groups +conformant *\n", ended.out)
    assert re.search(r"durable +conformant *\n", ended.out)
    assert report.counts.unproven == 0


def test_cnf_009_an_asked_profile_that_only_faults_can_judge_ends_in_success_with_them_alone(
    eventproof: Any,
) -> None:
    words = ("run", "memory", "--profile", "groups", "--scenarios", 240, "--report", "out")
    ended = eventproof(*words)
    assert ended.code == PARTIAL
    assert saved("out").profiles == {"groups": "conformant without faults"}
    assert re.search(
        r"groups +conformant without faults +needs --tier fault for consumer-loss,\s+consumer-pause",
        ended.out,
    )
    ended = eventproof(*words, "--tier", "fault")
    assert (ended.code, saved("out").profiles) == (CONFORMANT, {"groups": "conformant"})


def test_cnf_009_a_profile_of_faults_alone_is_not_checked_without_them(eventproof: Any) -> None:
    ended = eventproof("run", "memory", "--profile", "durable", "--scenarios", 10, "--report", "out")
    assert (ended.code, saved("out").profiles) == (PARTIAL, {"durable": "not checked"})


def test_a_run_of_one_seed_has_the_same_faults_and_verdicts_again(eventproof: Any) -> None:
    for folder in ("first", "second"):
        eventproof("run", "memory", "--tier", "fault", "--scenarios", 20, "--seed", 5, "--report", folder)
    first, second = saved("first"), saved("second")
    assert (first.verdicts, first.counts) == (second.verdicts, second.counts)
    for path in Path("first/scenarios").iterdir():
        assert path.read_bytes() == Path("second/scenarios", path.name).read_bytes()


# a target that can do less


@pytest.mark.parametrize(
    ("missing", "unmade"),
    [
        (("kill",), {"broker-kill"}),
        (("revive",), {"broker-kill"}),
        (("freeze",), {"broker-pause"}),
        (("kill", "freeze", "restart"), OF_THE_BROKER),
        (("sever",), OF_CONSUMERS),
    ],
    ids=["kill", "revive", "freeze", "the-broker", "consumers"],
)
def test_what_a_target_cannot_do_is_not_checked_and_said(
    eventproof: Any, missing: tuple[str, ...], unmade: set[str]
) -> None:
    words = ("run", "--adapter", lacking(*missing), "--tier", "fault", "--scenarios", 40, "--report", "out")
    ended = eventproof(*words)
    assert ended.code in {CONFORMANT, PARTIAL}
    for verdict in under_faults(saved("out")):
        lacked = [fault for fault in verdict.faults if fault in unmade]
        assert (verdict.state == "not checked") == bool(lacked), verdict
        if lacked:
            assert verdict.evidence == f"needs a target that can for {', '.join(lacked)}"
    made = {fault.name for path in Path("out/scenarios").iterdir() for fault in load(path)[0].faults}
    assert made
    assert not made & unmade


def test_a_target_that_can_do_nothing_is_conformant_without_faults_and_partial_if_asked(
    eventproof: Any,
) -> None:
    adapter = lacking("kill", "freeze", "restart", "sever")
    words = ("run", "--adapter", adapter, "--tier", "fault", "--report", "out")
    ended = eventproof(*words, "--scenarios", 150)
    assert ended.code == CONFORMANT
    assert saved("out").profiles["groups"] == "conformant without faults"
    assert saved("out").profiles["durable"] == "not checked"
    assert "needs a target that can for" in " ".join(ended.out.split())
    assert not [fault for path in Path("out/scenarios").iterdir() for fault in load(path)[0].faults]
    assert eventproof(*words, "--scenarios", 100, "--profile", "groups").code == PARTIAL
    assert saved("out").profiles == {"groups": "conformant without faults"}


# judged again, run again

STRUCK = Scenario(
    publishers=(tuple(Publish(call=n, event=n, repeats=1) for n in range(1, 13)),),
    groups=(Group(policy=Policy(), consumers=(Consumer(), Consumer())),),
    behaviours=tuple(Behaviour(group=0, call=n, acts=(Act(do="hold", ticks=2),)) for n in range(1, 13)),
    faults=(
        Fault(after="deliver", count=4, ticks=1),
        Fault(group=0, after="deliver", ticks=1),
        Fault(do="freeze", group=0, consumer=1, after="deliver", count=3, ticks=6),
    ),
)


def test_check_judges_histories_with_faults_as_the_run_did(eventproof: Any) -> None:
    eventproof("run", "memory", "--tier", "fault", "--scenarios", 12, "--report", "out")
    histories = sorted(Path("out/histories").glob("*.jsonl"))
    ended = eventproof("check", *histories)
    assert ended.code == CONFORMANT
    assert ended.out.count("nothing violated") == 12


def test_a_loss_with_a_kill_is_found_made_smaller_judged_again_and_shown_again(eventproof: Any) -> None:
    Path("loses.py").write_text(LOSES)
    words = ("run", "--adapter", "loses.py:connect", "--tier", "fault", "--scenarios", 40, "--budget", 3)
    ended = eventproof(*words, "--option", "max_payload=16384", "--report", "out")
    assert ended.code == FAILED
    report = saved("out")
    assert "DUR-004" in {verdict.requirement for verdict in report.verdicts if verdict.state == "fail"}
    assert report.profiles["durable"] == "failed"
    example = next(one for one in report.counterexamples if "DUR-004" in one.requirements)
    (minimal,) = load(Path("out", example.minimal))
    assert [fault.name for fault in minimal.faults] == ["broker-kill"]
    checked = eventproof("check", Path("out", example.history))
    assert checked.code == FAILED
    assert "DUR-004" in checked.out
    command = next(
        line.partition("replay: ")[2]
        for line in ended.out.splitlines()
        if line.startswith("replay: ") and Path(example.minimal).parent.name in line
    )
    again = eventproof(*shlex.split(command)[1:])
    assert again.code == FAILED
    assert "DUR-004" in again.out


def test_replay_makes_the_faults_of_a_scenario(eventproof: Any) -> None:
    Path("struck.json").write_bytes(encode(STRUCK))
    ended = eventproof("replay", "struck.json", "memory", "--times", 2, "--save", "out")
    assert ended.code == CONFORMANT, ended.out
    assert "0 of 2 runs broke a claim" in ended.out
    for path in Path("out/histories").glob("*.jsonl"):
        kinds = [record.kind for record in files.load(path).records]
        assert kinds.count("broker.killed") == kinds.count("broker.ready") == 1
        assert kinds.count("consumer.killing") == kinds.count("consumer.killed") == 1
        assert kinds.count("consumer.paused") == kinds.count("consumer.resumed") == 1
