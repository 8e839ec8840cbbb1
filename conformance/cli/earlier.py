"""What is known of a requirement from before: the runs that judged it, and the tests that name it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import click
from rich.text import Text

from eventproof.conformance.report.report import Report
from eventproof.conformance.report.saved import InvalidReport, Judgement, judgements, load, paths
from eventproof.conformance.verdict import OF_THE_SUITE
from eventproof.spec import Requirement

TESTS = Path(str(files("eventproof.spec"))).resolve().parent / "tests"  # beside the spec in a checkout


def told(one: Requirement, folder: Path) -> Iterator[Text]:
    """Lines on who decides a requirement, and what came out the last time. folder: of saved reports."""
    if not set(one.anomalies) - OF_THE_SUITE:
        yield _fact("Judged", "by no run")
        yield from (_fact("Test", test) for test in tests(one.id))
        return
    reports = [(path, report) for path in paths(folder) if (report := _read(path)) is not None]
    said = judgements(one.id, reports)
    judged = [judgement for judgement in said if judgement.judged]
    if not judged:
        yield _fact("Judged last", _never(said, folder))
        return
    yield _fact("Judged last", _sentence(judged[0]))
    if judged[0].verdict.state != "pass":
        passed = (_sentence(judgement) for judgement in judged if judgement.verdict.state == "pass")
        yield _fact("Passed last", next(passed, f"in no report in {folder}"))


def tests(name: str) -> Sequence[str]:
    """The tests that carry an id in their name, as pytest takes them; none where there is no source tree."""
    test = re.compile(rf"def (test_\w*?{name.lower().replace('-', '_')}(?!\d)\w*)")
    return [
        f"{path.relative_to(TESTS.parent)}::{found}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for found in test.findall(path.read_text(encoding="utf-8"))
    ]


def _read(path: Path) -> Report | None:
    """A report; none, and a line on standard error, if it cannot be read."""
    try:
        return load(path)
    except InvalidReport as problem:
        click.echo(f"eventproof: skipped: {problem}", err=True)
        return None


def _never(said: Sequence[Judgement], folder: Path) -> str:
    if said:
        verdict = said[0].verdict
        return f"by no report in {folder}; the newest one says {verdict.state}: {verdict.evidence}"
    return f"by no report in {folder}; `eventproof run TARGET --report {folder}/NAME` makes one"


def _sentence(judgement: Judgement) -> str:
    report, verdict = judgement.report, judgement.verdict
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    times = f"exercised {verdict.exercised} times, {verdict.minimum} needed"
    return f"{verdict.state} on {report.target} ({versions}), {times}; {report.started}, {judgement.folder}"


def _fact(name: str, text: str) -> Text:
    return Text.assemble((f"{name}: ", "bold"), text)
