"""What a report has to tell, and what a run ends with (spec/conformance.md, CNF-009 to CNF-013)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventproof.adapters.claims import Claims
from eventproof.conformance.batch import load
from eventproof.conformance.cli.run import exit_code
from eventproof.conformance.history import files
from eventproof.conformance.profiles import ProfileState
from eventproof.conformance.report.report import Counts, Report
from eventproof.conformance.rules.judge import judge
from eventproof.schemas.validation import problems, validator
from eventproof.spec.__main__ import HERE
from eventproof.spec.parse import document, table
from tests.conformance.histories import Story

CONFORMANT, FAILED, PARTIAL = range(3)
NAMED = ("target", "versions", "options", "claims", "tier", "seed")


def saved(folder: str) -> Report:
    return msgspec.json.decode((Path(folder) / "report.json").read_bytes(), type=Report)


def ending(*states: ProfileState) -> Report:
    profiles = {f"profile {number}": state for number, state in enumerate(states)}
    return Report(
        target="memory", tier="core", seed=1, started="", seconds=0.0, versions={}, options={},
        claims=Claims(), counts=Counts(), profiles=profiles, verdicts=(),
    )  # fmt: skip


@pytest.mark.parametrize("skipped", ["not claimed", "not checked"])
def test_cnf_009_what_was_skipped_fails_whoever_asked_for_it(skipped: ProfileState) -> None:
    assert exit_code(ending("conformant", skipped), asked=True) == PARTIAL
    assert exit_code(ending("conformant", skipped), asked=False) == CONFORMANT
    assert exit_code(ending("failed", skipped), asked=False) == FAILED


def test_cnf_009_the_codes_are_those_of_the_document() -> None:
    source = document("conformance.md", (HERE / "conformance.md").read_text(encoding="utf-8"))
    rows = {row[0]: re.findall(r"\d", row[2]) for row in table(source, "Profiles and exit codes")}
    for state, codes in rows.items():
        found = [exit_code(ending(state), asked=asked) for asked in (False, True)]  # type: ignore[arg-type]
        assert found == [int(codes[0]), int(codes[-1])], state


def test_cnf_010_a_report_names_what_was_judged(eventproof: Any) -> None:
    eventproof("run", "memory", "--scenarios", 2, "--seed", 5, "--option", "lane=topic", "--report", "out")
    report = saved("out")
    assert (report.target, report.tier, report.seed) == ("memory", "core", 5)
    assert report.options["lane"] == "topic"
    assert report.claims.ordering.scope == "topic"
    assert report.versions
    document = msgspec.json.decode(Path("out/report.json").read_bytes())
    assert problems(validator("conformance/report"), document) == []
    for name in NAMED:
        less = {key: value for key, value in document.items() if key != name}
        assert problems(validator("conformance/report"), less), name


def test_cnf_011_each_failure_has_a_counterexample(eventproof: Any) -> None:
    words = ("--option", "lane=event", "--claim", "ordering.strictness=settled", "--scenarios", 60)
    assert eventproof("run", "memory", *words, "--report", "out").code == FAILED
    report = saved("out")
    broken = {verdict.requirement for verdict in report.verdicts if verdict.state in {"fail", "hang"}}
    assert broken == {name for example in report.counterexamples for name in example.requirements} != set()
    for example in report.counterexamples:
        for path in (example.original, example.minimal):
            assert load(Path("out") / path)[0].operations >= 1
        history = files.load(Path("out") / example.history)
        codes = {finding.code for finding in judge(history) if finding.violations}
        assert example.anomaly in codes
        assert [record.i for record in history.records] == list(range(1, len(history.records) + 1))
        assert history.records[-1].kind == "end"
        (found,) = (finding for finding in judge(history) if finding.code == example.anomaly)
        assert found.violations[0] == example.violation
        assert example.violation.records


@pytest.mark.parametrize("drained", [True, False])
def test_cnf_012_a_saved_history_is_judged_alike(drained: bool, tmp_path: Path) -> None:
    told = Story()
    told.next(told.join())
    told.publish("k")
    if drained:
        told.drain()
    found = judge(told.history())
    files.save(told.history(), tmp_path / "told.jsonl")
    assert judge(files.load(tmp_path / "told.jsonl")) == found
    assert any(finding.code == "B2" and finding.violations for finding in found) is drained


def test_cnf_013_a_claim_changes_nothing_but_the_judgement(eventproof: Any) -> None:
    words = ("run", "memory", "--option", "lane=event", "--scenarios", 4)
    eventproof(*words, "--report", "own")
    eventproof(*words, "--claim", "ordering.strictness=settled", "--report", "other")
    own, other = saved("own"), saved("other")
    assert own.options == other.options
    assert own.claims != other.claims
    for path in sorted(Path("own/histories").glob("*.jsonl")):
        mine, theirs = files.load(path), files.load(Path("other/histories") / path.name)
        assert mine.records == theirs.records
