"""The command `eventproof`: what it prints, what it saves, how it ends."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventproof.conformance.history import files
from eventproof.conformance.history.record import Record
from eventproof.conformance.report.report import Report
from eventproof.conformance.scenario import Scenario, encode
from tests.conformance.brokers import SMALL, run
from tests.conformance.histories import Story

CONFORMANT, FAILED, PARTIAL, BROKEN, USAGE = range(5)
MUTANT = """
from functools import partial
from eventproof.adapters import memory
from eventproof.conformance.mutants.loss import LosesEvents
from eventproof.conformance.targets.memory import target
connect = partial(memory.connect, engine=LosesEvents)
"""


def saved(folder: Path) -> Report:
    return msgspec.json.decode((folder / "report.json").read_bytes(), type=Report)


# run


def test_run_judges_the_memory_broker_conformant_and_saves_everything(eventproof: Any) -> None:
    ended = eventproof("run", "memory", "--scenarios", 240, "--report", "out")
    assert ended.code == CONFORMANT
    assert re.search(r"core +conformant", ended.out)
    assert re.search(r"240 scenarios, \d+ operations", ended.out)
    assert ended.out.rstrip().endswith("report: out")
    report = saved(Path("out"))
    assert report.profiles.pop("durable") == "not checked"
    assert report.profiles.pop("groups") == "conformant without faults"
    assert set(report.profiles.values()) == {"conformant"}
    assert report.counts.unproven == report.counts.indeterminate == 0
    assert len(list(Path("out/scenarios").glob("*.json"))) == 240
    assert len(list(Path("out/histories").glob("*.jsonl"))) == 240


def test_run_in_the_tier_smoke_is_conformant_or_says_what_was_not_exercised(eventproof: Any) -> None:
    ended = eventproof("run", "memory", "--tier", "smoke", "--report", "out")
    states = {verdict.state for verdict in saved(Path("out")).verdicts}
    assert "fail" not in states
    assert ended.code == (PARTIAL if "inconclusive" in states else CONFORMANT)


def test_run_says_every_requirement_with_its_verdict(eventproof: Any) -> None:
    ended = eventproof("run", "memory", "--scenarios", 5, "--report", "out")
    for verdict in saved(Path("out")).verdicts:
        assert re.search(rf"^{verdict.requirement} .*{verdict.state}", ended.out, re.MULTILINE)


def test_run_makes_a_report_folder_of_its_own(eventproof: Any) -> None:
    eventproof("run", "memory", "--scenarios", 3)
    assert len(list(Path("reports").glob("memory-*/report.json"))) == 1


def test_run_with_too_few_scenarios_is_partial(eventproof: Any) -> None:
    ended = eventproof("run", "memory", "--scenarios", 3, "--report", "out")
    assert ended.code == PARTIAL
    assert re.search(r"core +partial", ended.out)
    assert "inconclusive" in ended.out


def test_run_of_one_seed_gives_the_same_report(eventproof: Any) -> None:
    reports = []
    for folder in ("first", "second"):
        eventproof("run", "memory", "--scenarios", 20, "--seed", 7, "--report", folder)
        report = saved(Path(folder))
        reports.append((report.verdicts, report.counts, report.profiles))
    assert reports[0] == reports[1]


def test_run_judges_the_asked_profiles_only(eventproof: Any) -> None:
    ended = eventproof("run", "memory", "--scenarios", 60, "--profile", "ordered", "--report", "out")
    assert ended.code == CONFORMANT
    assert set(saved(Path("out")).profiles) == {"ordered"}
    assert "ORD-003" in ended.out
    assert "DLV-001" not in ended.out


def test_run_of_an_asked_profile_that_is_not_claimed_is_partial(eventproof: Any) -> None:
    ended = eventproof(
        "run", "memory", "--option", "delivery=at-most-once", "--profile", "retry", "--scenarios", 5
    )
    assert ended.code == PARTIAL
    assert re.search(r"retry +not claimed", ended.out)


def test_run_of_an_at_most_once_broker_is_partial_in_core(eventproof: Any) -> None:
    ended = eventproof(
        "run", "memory", "--option", "delivery=at-most-once", "--scenarios", 100, "--report", "out"
    )
    assert ended.code == PARTIAL
    assert re.search(r"core +partial +loss=never is not claimed: the broker may lose events", ended.out)
    assert re.search(
        r"retry +not claimed +needs redelivery.nack=true and dead_letter=at-least-one", ended.out
    )
    report = saved(Path("out"))
    assert report.reasons["core"] == "loss=never is not claimed: the broker may lose events"
    assert set(report.reasons) == {name for name, state in report.profiles.items() if state != "conformant"}


def test_a_claim_changes_what_is_judged_and_not_the_broker(eventproof: Any) -> None:
    words = ("run", "memory", "--option", "lane=event", "--scenarios", 60, "--profile", "ordered")
    assert eventproof(*words, "--report", "as-claimed").code == CONFORMANT
    ended = eventproof(*words, "--claim", "ordering.strictness=settled", "--report", "as-asked")
    assert ended.code == FAILED
    assert "ORD-005 is broken (D2)" in ended.out
    assert saved(Path("as-asked")).claims.ordering.strictness == "settled"


def test_a_weaker_claim_leaves_less_to_judge(eventproof: Any) -> None:
    eventproof("run", "memory", "--scenarios", 3, "--claim", "loss=may", "--report", "out")
    verdicts = {verdict.requirement: verdict.state for verdict in saved(Path("out")).verdicts}
    assert verdicts["DLV-001"] == "not claimed"


def test_a_broken_broker_fails_with_a_story_and_a_replay_that_reproduces_it(
    eventproof: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "mutant.py").write_text(MUTANT)
    adapter = f"{folder / 'mutant.py'}:connect"
    ended = eventproof(
        "run", "--adapter", adapter, "--option", "window=60", "--scenarios", 12, "--report", folder / "out",
        "--keep", "failed", "--budget", 3,
    )  # fmt: skip
    assert ended.code == FAILED
    assert re.search(r"DLV-001.* is broken \(B2\)", ended.out)
    assert re.search(r"^ +→ +\d+\.\d{3} s  \S+ \w+ .*event-", ended.out, re.MULTILINE)
    assert "shown again by 10 of 10 runs" in " ".join(ended.out.split())
    report = saved(folder / "out")
    example = next(one for one in report.counterexamples if one.anomaly == "B2")
    assert example.operations <= 3
    for name in (example.original, example.minimal, example.history):
        assert (folder / "out" / name).is_file()
    failing = {number for v in report.verdicts if v.state == "fail" for number in v.scenarios}
    kept = {int(path.stem) for path in (folder / "out" / "histories").glob("*.jsonl")}
    assert failing <= kept
    assert len(kept) < 12

    commands = [
        line.partition("replay: ")[2] for line in ended.out.splitlines() if line.startswith("replay: ")
    ]
    assert len(commands) == len(report.counterexamples)
    command = next(command for command in commands if "/B2/" in command)
    words = shlex.split(command)
    assert words[:2] == ["eventproof", "replay"]
    assert words[3:] == ["--adapter", adapter, "--option", "window=60"]
    again = eventproof(*words[1:])
    assert again.code == FAILED
    assert "DLV-001" in again.out
    assert "1 of 1 runs broke a claim" in again.out
    assert eventproof("check", folder / "out" / example.history).code == FAILED


# replay


def test_replay_tells_the_story_of_a_run_that_broke_nothing(eventproof: Any) -> None:
    Path("one.json").write_bytes(encode(SMALL))
    ended = eventproof("replay", "one.json", "memory", "--times", 3, "--save", "kept")
    assert ended.code == CONFORMANT
    assert "is handed event-1 (call 1, attempt 1" in ended.out
    assert "0 of 3 runs broke a claim" in ended.out
    assert len(list(Path("kept/histories").glob("*.jsonl"))) == 3
    assert eventproof("check", *Path("kept/histories").glob("*.jsonl")).code == CONFORMANT


def test_replay_judges_by_another_claim(eventproof: Any) -> None:
    Path("one.json").write_bytes(encode(Scenario(publishers=SMALL.publishers, groups=SMALL.groups)))
    assert eventproof("replay", "one.json", "memory", "--claim", "duplicates=never").code == CONFORMANT


# check


def test_check_judges_saved_histories_again(eventproof: Any) -> None:
    eventproof("run", "memory", "--scenarios", 5, "--report", "out")
    histories = sorted(Path("out/histories").glob("*.jsonl"))
    ended = eventproof("check", *histories)
    assert ended.code == CONFORMANT
    assert ended.out.count("nothing violated") == len(histories) == 5


@pytest.fixture
def lossy(tmp_path: Path) -> Path:
    """A saved history in which an event was lost."""
    told = Story()
    told.next(told.join())
    told.publish("k")
    told.drain()
    path = tmp_path / "lossy.jsonl"
    files.save(told.history(), path)
    return path


def test_check_shows_each_violation_with_its_story(eventproof: Any, lossy: Path) -> None:
    ended = eventproof("check", lossy)
    assert ended.code == FAILED
    assert "DLV-001" in ended.out
    assert "Call 1 was confirmed but never reached group g, which has drained." in " ".join(ended.out.split())
    assert "→" in ended.out


def test_check_ends_with_the_worst_of_several(eventproof: Any, lossy: Path) -> None:
    files.save(run([SMALL])[0], "good.jsonl")
    assert eventproof("check", "good.jsonl", lossy).code == FAILED
    assert eventproof("check", lossy, "good.jsonl").code == FAILED
    Path("bad.jsonl").write_text("{}\n")
    assert eventproof("check", "good.jsonl", lossy, "bad.jsonl").code == BROKEN


def test_check_by_a_claim_or_a_profile_that_leaves_it_out_finds_nothing(eventproof: Any, lossy: Path) -> None:
    assert eventproof("check", lossy, "--claim", "loss=may").code == CONFORMANT
    assert eventproof("check", lossy, "--profile", "dedup").code == CONFORMANT
    assert eventproof("check", lossy, "--profile", "core").code == FAILED


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "line 1: the header is missing"),
        (b"not json\n", "line 1: no header"),
        (b"{}\n", "line 1: no header"),
        (b'{"claims": {}, "format": 99}\n', "line 1: format 99"),
        (b'{"claims": {}}\nnot json\n', "line 2: "),
        (b'{"claims": {}}\n{"i": 1, "t": 0, "kind": "end", "colour": "red"}\n', "line 2: "),
        (b"\xff\xfe\n", "line 1: no header"),
    ],
)
def test_check_of_what_is_no_history_is_one_line(eventproof: Any, content: bytes, says: str) -> None:
    Path("bad.jsonl").write_bytes(content)
    ended = eventproof("check", "bad.jsonl")
    assert ended.code == BROKEN
    assert ended.out == ""
    assert ended.err.startswith(f"eventproof: bad.jsonl: {says}")
    assert len(ended.err.splitlines()) == 1


def test_check_judges_a_truncated_history_as_far_as_it_goes(eventproof: Any, lossy: Path) -> None:
    whole = lossy.read_bytes()
    lossy.write_bytes(whole + whole.splitlines()[1][:20])
    ended = eventproof("check", lossy)
    assert ended.code == FAILED
    assert "the last line is cut off" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_cnf_004_check_of_a_malformed_history_accuses_nobody(eventproof: Any, lossy: Path) -> None:
    history = files.load(lossy)
    orphan = Record(i=len(history.records) + 1, t=history.records[-1].t, kind="publish.ok", call=99)
    files.save(msgspec.structs.replace(history, records=[*history.records, orphan]), "malformed.jsonl")
    ended = eventproof("check", "malformed.jsonl")
    assert ended.code == BROKEN
    assert "malformed" in ended.out
    assert "DLV-001" not in ended.out


# list and explain


def test_list_shows_the_requirements_and_filters_them(eventproof: Any) -> None:
    everything = eventproof("list").out
    assert all(name in everything for name in ("ORD-003", "CNF-001", "ENV-001"))
    ordering = eventproof("list", "--area", "ord", "--level", "MUST NOT").out
    assert "ENV-001" not in ordering
    assert "ORD-" in ordering


def test_list_filters_by_how_a_requirement_is_verified(eventproof: Any) -> None:
    inspected = eventproof("list", "--verify", "inspection").out
    assert "ADP-004" in inspected
    assert "ADP-003" not in inspected


@pytest.mark.parametrize(
    ("option", "known"),
    [("--area", "ord"), ("--profile", "ordered"), ("--level", "must not"), ("--verify", "fault")],
)
def test_list_answers_a_wrong_value_with_the_known_ones(eventproof: Any, option: str, known: str) -> None:
    ended = eventproof("list", option, "best")
    assert ended.code == USAGE
    assert f"'{known}'" in ended.err.casefold()
    assert ended.out == ""


def test_explain_tells_text_rule_and_mutants(eventproof: Any) -> None:
    ended = eventproof("explain", "dlv-001")
    said = " ".join(ended.out.split())
    assert ended.code == CONFORMANT
    assert "DLV-001" in said
    assert "Rule: B2 lost." in said
    assert "Mutant: LosesEvents never hands out an event without a key" in said
    assert "spec/delivery.md#DLV-001" in said
