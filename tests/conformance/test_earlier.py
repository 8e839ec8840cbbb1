"""`eventproof explain` says where a requirement was judged last, and where it passed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventproof.adapters.claims import Claims
from eventproof.conformance.report.report import Counts, Report, save
from eventproof.conformance.report.saved import InvalidReport, load
from eventproof.conformance.verdict import State, Verdict

CONFORMANT = 0


def saved(folder: str, hour: int, state: State, **fields: Any) -> Report:
    """A report of that hour which judges ORD-003 so, and says nothing else."""
    verdict = Verdict(
        requirement="ORD-003", title="Key order", level="MUST", profile="ordered", state=state,
        exercised=31, minimum=20, evidence="so it was",
    )  # fmt: skip
    report = Report(
        target="nats", tier="core", seed=1, started=f"2026-07-01T{hour:02}:00:00+00:00", seconds=0.0,
        versions={"nats-server": "2.15.1"}, options={}, claims=Claims(), counts=Counts(), profiles={},
        verdicts=(verdict,),
    )  # fmt: skip
    Path(folder).mkdir(parents=True)
    save(msgspec.structs.replace(report, **fields), Path(folder))
    return report


def explained(eventproof: Any, *words: str) -> str:
    ended = eventproof("explain", *words)
    assert (ended.code, ended.err) == (CONFORMANT, "")
    return " ".join(ended.out.split())


def test_the_newest_run_that_judged_it_is_told(eventproof: Any) -> None:
    saved("reports/b", 9, "fail")
    saved("reports/a", 11, "pass")
    saved("reports/soak/c", 10, "inconclusive")
    said = explained(eventproof, "ORD-003")
    assert said.endswith(
        "Judged last: pass on nats (nats-server 2.15.1), exercised 31 times, 20 needed;"
        " 2026-07-01T11:00:00+00:00, reports/a"
    )
    assert "Passed last" not in said


def test_where_it_passed_is_told_if_it_did_not_the_last_time(eventproof: Any) -> None:
    saved("reports/a", 8, "pass")
    saved("reports/b", 9, "pass")
    saved("reports/c", 10, "fail")
    said = explained(eventproof, "ORD-003")
    assert "Judged last: fail on nats" in said
    assert said.endswith("reports/b")
    assert "Passed last: pass on nats" in said


def test_a_failure_without_a_pass_says_so(eventproof: Any) -> None:
    saved("reports/a", 8, "hang")
    assert explained(eventproof, "ORD-003").endswith("Passed last: in no report in reports")


def test_a_run_that_could_not_judge_it_is_no_judgement(eventproof: Any) -> None:
    saved("reports/a", 8, "pass")
    saved("reports/b", 9, "not claimed")
    assert "Judged last: pass on nats" in explained(eventproof, "ORD-003")


def test_what_no_run_judged_is_told_with_what_the_newest_says(eventproof: Any) -> None:
    saved("reports/a", 8, "not checked")
    said = explained(eventproof, "ORD-003")
    assert said.endswith("by no report in reports; the newest one says not checked: so it was")


def test_without_a_report_the_command_that_makes_one_is_told(eventproof: Any) -> None:
    said = explained(eventproof, "ORD-003", "--reports", "elsewhere")
    assert said.endswith("`eventproof run TARGET --report elsewhere/NAME` makes one")


def test_the_folder_of_one_run_is_enough(eventproof: Any) -> None:
    saved("out", 8, "pass")
    assert "Judged last: pass on nats" in explained(eventproof, "ORD-003", "--reports", "out")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b'{"target": "nats"}', b'{"target": 3}', b'"\\u0000"']
)
def test_a_broken_report_is_skipped_in_one_line(eventproof: Any, content: bytes) -> None:
    saved("reports/a", 8, "pass")
    Path("reports/b").mkdir()
    Path("reports/b/report.json").write_bytes(content)
    ended = eventproof("explain", "ORD-003")
    assert ended.code == CONFORMANT
    assert ended.err.startswith("eventproof: skipped: reports/b/report.json is no report: ")
    assert len(ended.err.splitlines()) == 1
    assert "Judged last: pass on nats" in ended.out


def test_a_report_that_cannot_be_read_or_is_of_another_format_is_none(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(InvalidReport, match="is no report"):
        load(tmp_path / "report.json")
    saved(str(tmp_path / "new"), 8, "pass", format=99)
    with pytest.raises(InvalidReport, match="is of format 99; this version reads 1"):
        load(tmp_path / "new" / "report.json")


def test_a_requirement_that_tests_decide_names_them(eventproof: Any) -> None:
    said = explained(eventproof, "CNF-013")
    assert "Judged: by no run" in said
    assert "Judged last" not in said
    name = "tests/conformance/test_report.py::test_cnf_013_a_claim_changes_nothing_but_the_judgement"
    assert name in said.replace(" ", "")


def test_a_run_on_virtual_time_is_saved_under_the_real_one(eventproof: Any) -> None:
    eventproof("run", "memory", "--scenarios", 40, "--report", "reports/own")
    report = load(Path("reports/own/report.json"))
    age = datetime.now(timezone.utc) - datetime.fromisoformat(report.started)
    assert timedelta(0) <= age < timedelta(hours=1)
    assert report.started in explained(eventproof, "PUB-001")
