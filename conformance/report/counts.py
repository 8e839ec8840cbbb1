"""Count what a run consisted of, so that a reader sees what a verdict stands on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from eventproof.conformance.history.record import History
from eventproof.conformance.report.coverage import befallen
from eventproof.conformance.report.report import Counts, Struck
from eventproof.conformance.scenario import Scenario


def count(histories: Iterable[History], scenarios: Iterable[Scenario], into: Counts) -> None:
    """Add histories and their scenarios to the counts."""
    for scenario, history in zip(scenarios, histories, strict=True):
        kinds = Counter(record.kind for record in history.records)
        hand_outs = Counter((r.group, r.call, r.position) for r in history.records if r.kind == "deliver")
        proven = {record.group for record in history.records if record.kind == "drained" and record.group}
        into.scenarios += 1
        into.operations += scenario.operations
        into.records += len(history.records)
        into.publishes += kinds["publish.invoke"]
        into.indeterminate += kinds["publish.indeterminate"]
        into.duplicates += sum(bool(record.duplicate) for record in history.records)
        into.deliveries += kinds["deliver"]
        into.redeliveries += kinds["deliver"] - len(hand_outs)
        into.dead_letters += kinds["dead"]
        into.joins += kinds["subscribe.ok"]
        into.drains += len(history.header.groups)
        into.unproven += len(history.header.groups) - len(proven)
        for name, struck, met in befallen(scenario, history):
            found = into.faults.setdefault(name, Struck())
            found.planned += 1
            found.struck += struck
            found.met += met
