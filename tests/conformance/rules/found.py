"""What a history's findings come to, with what its claims do not concern left out.

The table repeats the column *judged when* of the anomalies.
"""

from __future__ import annotations

from collections.abc import Callable

from eventproof.adapters.claims import Claims
from eventproof.conformance.history.record import History
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.rules.rule import Finding
from tests.conformance.histories import Story

JUDGED: dict[str, Callable[[Claims], bool]] = {
    "A7": lambda c: c.ordering.agreement == "groups",
    "B1": lambda c: c.loss == "never" and c.ordering.scope != "none",
    "B2": lambda c: c.loss == "never",
    "B3": lambda c: c.loss == "never",
    "B4": lambda c: c.loss == "never",
    "B5": lambda c: c.loss == "never",
    "B6": lambda c: c.loss == "never" and c.replay == "earliest",
    "B7": lambda c: False,
    "C1": lambda c: c.duplicates != "any",
    "C2": lambda c: c.duplicates == "permitted",
    "C3": lambda c: c.duplicates == "permitted",
    "C4": lambda c: c.idempotent_publish,
    "C5": lambda c: c.publish_dedup.scope != "none",
    "C6": lambda c: c.publish_dedup.scope != "none",
    "C7": lambda c: c.publish_dedup.scope != "none",
    "C8": lambda c: c.fencing != "none",
    "C9": lambda c: c.consume_dedup.scope != "none",
    "C10": lambda c: c.duplicates == "never",
    "D1": lambda c: c.ordering.scope != "none",
    "D1p": lambda c: c.ordering.scope != "none" and c.ordering.publish == "pipelined",
    "D2": lambda c: c.ordering.scope != "none" and c.ordering.strictness == "settled",
    "D3": lambda c: c.ordering.scope == "topic",
    "D4": lambda c: c.ordering.scope != "none" and c.ordering.strictness == "settled",
    "E3": lambda c: c.backoff != "none",
    "E1l": lambda c: c.attempts.never_low,
    "E1h": lambda c: c.attempts.never_high,
    "E8": lambda c: c.isolation not in {"none", "topic"},
    "F1": lambda c: c.flow.max_in_flight,
}


def findings(told: Story | History) -> dict[str, Finding]:
    history = told.history() if isinstance(told, Story) else told
    return {finding.code: finding for finding in judge(history)}


def found(told: Story | History) -> set[str]:
    """The codes that are violated and claimed; every violation is checked to be readable evidence."""
    result = findings(told)
    claims = told.header.claims
    for finding in result.values():
        for violation in finding.violations:
            assert violation.message.endswith((".", "?")) or finding.code == "P1"
            assert list(violation.records) == sorted(set(violation.records)), (
                finding.code,
                violation.records,
            )
    return {code for code, f in result.items() if f.count and JUDGED.get(code, lambda c: True)(claims)}
