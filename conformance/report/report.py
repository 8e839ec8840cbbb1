"""The result of one run, as data: report.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.conformance.profiles import ProfileState
from eventproof.conformance.rules.rule import Violation
from eventproof.conformance.targets.visit import Caps
from eventproof.conformance.verdict import Verdict

FORMAT = 1
NAME = "report.json"


class Struck(msgspec.Struct):
    """Of one kind of fault: how many were planned, came about, and met what they are for."""

    planned: int = 0
    struck: int = 0
    met: int = 0


class Counts(msgspec.Struct, kw_only=True):
    """What the run consisted of. unproven: groups whose drain was not proven, of `drains`.
    faults: by their name."""

    scenarios: int = 0
    operations: int = 0
    records: int = 0
    publishes: int = 0
    indeterminate: int = 0
    deliveries: int = 0
    redeliveries: int = 0
    dead_letters: int = 0
    duplicates: int = 0
    joins: int = 0
    drains: int = 0
    unproven: int = 0
    faults: dict[str, Struck] = {}


class Together(msgspec.Struct, frozen=True):
    """The batch that a violation was found in which never showed again alone. file: in the report folder.
    shown: of `reruns` runs of it, how many showed the violation again."""

    file: str
    shown: int
    reruns: int


class Counterexample(msgspec.Struct, frozen=True, kw_only=True):
    """A violation, as small as it could be made.

    scenario: number of the one that showed it first. original, minimal, history: files in the report
    folder. operations: of the minimal scenario. shown: of `reruns` runs of it, how many showed it again.
    story: of the history, which is whole, the records that the violation rests on.
    """

    anomaly: str
    requirements: tuple[str, ...]
    violation: Violation
    scenario: int
    original: str
    minimal: str
    history: str
    operations: int
    shown: int
    reruns: int
    story: tuple[str, ...]
    batch: Together | None = None


class Visited(msgspec.Struct, frozen=True, kw_only=True):
    """A run on a server that is not ours.

    url: without secrets. at_once: scenarios side by side, after the preflight. notes: what
    is different from a run on an own server. removed: everything that it made. ended: which cap ended the run
    before all of the `planned` scenarios.
    """

    url: str
    namespace: str
    caps: Caps
    at_once: int
    planned: int
    notes: tuple[str, ...] = ()
    removed: bool = True
    ended: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the suite on one broker in one configuration. reasons: why a profile is not conformant."""

    format: int = FORMAT
    target: str
    tier: str
    seed: int
    started: str
    seconds: float
    versions: Mapping[str, str]
    options: Mapping[str, str]
    claims: Claims
    counts: Counts
    profiles: Mapping[str, ProfileState]
    reasons: Mapping[str, str] = {}
    verdicts: tuple[Verdict, ...]
    counterexamples: tuple[Counterexample, ...] = ()
    visit: Visited | None = None


def save(report: Report, folder: Path) -> Path:
    """Write report.json."""
    path = folder / NAME
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return path
