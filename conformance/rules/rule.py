"""A rule and what it finds. A rule is a pure function over the index; it is named by its anomaly.

Rules judge whether or not the adapter claims what they judge: the verdict layer decides what a violation
means. They take their parameters (how acks are confirmed, windows, scopes, what survives) from the claims
in the header, and the weakest meaningful ones where nothing is claimed.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from eventproof.conformance.history.entities import NEVER, Group
from eventproof.conformance.history.index import Index

STORED = 20


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence of an anomaly. message: one sentence for somebody who has not read the source.
    records: recorder indexes that show it, in order; calls: the publish calls concerned; faults: names of
    those that lie in between."""

    code: str
    message: str
    records: tuple[int, ...] = ()
    calls: tuple[int, ...] = ()
    group: str = ""
    faults: tuple[str, ...] = ()


class Under(msgspec.Struct):
    """The part of a finding with one fault in between. count: violations."""

    exercised: int = 0
    count: int = 0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule found. exercised: how often the situation that it guards occurred; void: judgements
    too close to a time bound to be made; count: all violations, of which at most `STORED` are kept.
    under: by the name of a fault, what of it had such a fault in between."""

    code: str
    exercised: int = 0
    void: int = 0
    count: int = 0
    violations: tuple[Violation, ...] = ()
    under: Mapping[str, Under] = {}


class Rule(msgspec.Struct, frozen=True):
    """code and name of the anomaly; doc: its definition and what counts as exercise."""

    code: str
    name: str
    judge: Callable[[Index], Finding]
    doc: str


class Tally:
    """Collects the finding of one rule."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.exercised = 0
        self.void = 0
        self.count = 0
        self.under: defaultdict[str, Under] = defaultdict(Under)
        self._violations: list[Violation] = []

    def exercise(self, faults: Sequence[str] = ()) -> None:
        """Count one exercise, with these faults in between."""
        self.exercised += 1
        for fault in faults:
            self.under[fault].exercised += 1

    def violate(
        self,
        message: str,
        records: tuple[int, ...] = (),
        calls: tuple[int, ...] = (),
        group: Group | None = None,
        faults: Sequence[str] = (),
    ) -> None:
        """Count a violation, and keep it while there is room, its records in order."""
        self.count += 1
        for fault in faults:
            self.under[fault].count += 1
        if len(self._violations) < STORED:
            name = group.name if group is not None else ""
            records = tuple(sorted({i for i in records if 0 < i < NEVER}))
            self._violations.append(
                Violation(
                    code=self.code,
                    message=message,
                    records=records,
                    calls=calls,
                    group=name,
                    faults=tuple(faults),
                )
            )

    def finding(self) -> Finding:
        """The result."""
        return Finding(
            code=self.code,
            exercised=self.exercised,
            void=self.void,
            count=self.count,
            violations=tuple(self._violations),
            under=dict(self.under),
        )


def rule(code: str, name: str, judge: Callable[[Index, Tally], None]) -> Rule:
    """A rule from the function that fills its tally; its docstring is the rule's doc."""

    def run(index: Index) -> Finding:
        tally = Tally(code)
        judge(index, tally)
        return tally.finding()

    return Rule(code, name, run, inspect.getdoc(judge) or "")
