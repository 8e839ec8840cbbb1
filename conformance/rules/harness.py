"""H: the harness itself."""

from __future__ import annotations

from eventproof.conformance.history.index import Index
from eventproof.conformance.rules.rule import Tally, rule


def _malformed(index: Index, tally: Tally) -> None:
    """A completion without its invoke, a settle of an unknown delivery, a number used twice, records out of
    order or left out: no broker can cause it, so the suite has a defect and nothing else is judged.
    Exercised: records."""
    tally.exercised = len(index.records)
    for moment, what in index.defects:
        tally.violate(f"{what}: the history is malformed, which is a defect of the suite.", (moment,))


MALFORMED = rule("H1", "malformed history", _malformed)
