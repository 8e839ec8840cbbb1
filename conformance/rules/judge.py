"""Judge one history by all rules."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from eventproof.conformance.history.build import build
from eventproof.conformance.history.record import History
from eventproof.conformance.rules import RULES
from eventproof.conformance.rules.harness import MALFORMED
from eventproof.conformance.rules.rule import Finding


def judge(history: History) -> tuple[Finding, ...]:
    """The findings of all rules, in the order of `RULES`; of H1 alone when the history is malformed.

    Pure; time and memory grow with records and with events times groups.
    """
    with _no_collection():
        index = build(history)
        malformed = MALFORMED.judge(index)
        if malformed.count or not history.records:
            return (malformed,)
        return (malformed, *(rule.judge(index) for rule in RULES if rule is not MALFORMED))


@contextmanager
def _no_collection() -> Iterator[None]:
    """The index is one large cyclic structure that lives to the end: collecting in between costs a third
    of the time and finds nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
