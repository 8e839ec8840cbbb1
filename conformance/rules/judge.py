"""Judge one history by all rules."""

from __future__ import annotations

from eventproof.conformance.history.build import build
from eventproof.conformance.history.collection import collection_paused
from eventproof.conformance.history.record import History
from eventproof.conformance.rules import RULES
from eventproof.conformance.rules.harness import MALFORMED
from eventproof.conformance.rules.rule import Finding


def judge(history: History) -> tuple[Finding, ...]:
    """The findings of all rules, in the order of `RULES`; of H1 alone when the history is malformed.

    Pure; time and memory grow with records and with events times groups.
    """
    with collection_paused():
        index = build(history)
        malformed = MALFORMED.judge(index)
        if malformed.count or not history.records:
            return (malformed,)
        return (malformed, *(rule.judge(index) for rule in RULES if rule is not MALFORMED))
