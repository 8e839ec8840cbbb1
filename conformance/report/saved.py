"""Reports of earlier runs: what they say about one requirement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from eventproof.adapters.errors import EventproofError
from eventproof.conformance.report.report import FORMAT, NAME, Report
from eventproof.conformance.verdict import Verdict

DEPTHS = (NAME, f"*/{NAME}", f"*/*/{NAME}")  # of one run, of several, and of several rounds of them
JUDGED = frozenset({"pass", "fail", "hang", "inconclusive"})


class InvalidReport(EventproofError):
    """A file that is no report, or of another format."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What one run said about one requirement. folder: where the run was saved."""

    folder: Path
    report: Report
    verdict: Verdict

    @property
    def judged(self) -> bool:
        """Whether the run could tell anything."""
        return self.verdict.state in JUDGED


def load(path: Path) -> Report:
    """A saved report. Raises InvalidReport."""
    try:
        report = msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise InvalidReport(f"{path} is no report: {problem}") from problem
    if report.format != FORMAT:
        raise InvalidReport(f"{path} is of format {report.format}; this version reads {FORMAT}")
    return report


def paths(folder: Path) -> Sequence[Path]:
    """The reports in a folder of saved runs, or of one."""
    return sorted(path for depth in DEPTHS for path in folder.glob(depth))


def judgements(requirement: str, reports: Sequence[tuple[Path, Report]]) -> Sequence[Judgement]:
    """What reports, each with its path, say about a requirement: the newest first."""
    found = [
        Judgement(folder=path.parent, report=report, verdict=verdict)
        for path, report in reports
        for verdict in report.verdicts
        if verdict.requirement == requirement
    ]
    return sorted(found, key=lambda one: one.report.started, reverse=True)
