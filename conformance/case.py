"""One scenario of a run with what came of it, and who follows the run."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from eventproof.conformance import scenario as scenarios
from eventproof.conformance.history import files
from eventproof.conformance.history.record import History
from eventproof.conformance.rules.rule import Finding
from eventproof.conformance.scenario import Scenario


class Case(msgspec.Struct, frozen=True):
    """A scenario, what happened, and what was found in it. batch: the scenarios that met a fault of the
    broker together, this one among them."""

    number: int
    scenario: Scenario
    history: History
    findings: tuple[Finding, ...]
    batch: tuple[Scenario, ...] = ()

    @property
    def shown(self) -> frozenset[str]:
        """Codes of the rules that the history violates, claimed or not."""
        return frozenset(finding.code for finding in self.findings if finding.count)

    def shows(self, anomaly: str) -> bool:
        """Whether the history violates the rule of that code."""
        return anomaly in self.shown


class Watcher(Protocol):
    """Who is told how far a run is."""

    def phase(self, text: str, steps: int) -> None:
        """A new phase begins, of so many steps."""
        ...

    def step(self) -> None:
        """One step of the phase is done."""
        ...


def save_case(scenario: Scenario, history: History, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a scenario and its history under one name into a report folder."""
    first, second = folder / "scenarios" / f"{name}.json", folder / "histories" / f"{name}.jsonl"
    for path in (first, second):
        path.parent.mkdir(parents=True, exist_ok=True)
    first.write_bytes(scenarios.encode(scenario))
    files.save(history, second)
    return first, second
