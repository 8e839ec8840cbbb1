"""Build the index in one pass. What cannot be is kept as a defect, for the rule H1, and passed over."""

from __future__ import annotations

from eventproof.conformance.history.consuming import Consuming
from eventproof.conformance.history.entities import Group
from eventproof.conformance.history.index import Index
from eventproof.conformance.history.observing import Observing
from eventproof.conformance.history.publishing import Publishing
from eventproof.conformance.history.record import History


def build(history: History) -> Index:
    """The index of a history. Never raises for what the records say: see `Index.defects`."""
    index = Index(history.header, history.records)
    for info in history.header.groups:
        index.groups[info.topic, info.name] = Group(info.name, info.topic, info.policy)
    publishing = Publishing(index)
    handlers = {**publishing.handlers(), **Consuming(index).handlers(), **Observing(index).handlers()}
    i, t = 0, -1
    for record in history.records:
        if record.i != i + 1:
            index.defect(record, f"follows {i}, and the records count up by one from 1")
        if record.t < t:
            index.defect(record, "comes before the record that precedes it")
        i, t = record.i, record.t
        found = handlers.get(record.kind)
        if found is None:
            index.defect(record, "is of no known kind")
        else:
            found[0](record, found[1])
    publishing.finish()
    return index
