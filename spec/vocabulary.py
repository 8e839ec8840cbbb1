"""The words that requirements refer to, read from the tables that define them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from eventproof.spec.parse import Document, table

SOURCE = "conformance.md"
FAULTS = "durability.md"
AREAS = {
    "ENV": "envelope.md",
    "PUB": "publish.md",
    "DLV": "delivery.md",
    "ORD": "ordering.md",
    "RED": "redelivery.md",
    "DLQ": "deadletter.md",
    "DUP": "deduplication.md",
    "GRP": "groups.md",
    "DUR": "durability.md",
    "FLW": "flow.md",
    "CAT": "catalogue.md",
    "ADP": "adapter.md",
    "DRV": "driver.md",
    "CNF": "conformance.md",
    "JSN": "bindings/json.md",
    "MEM": "bindings/memory.md",
    "NAT": "bindings/nats.md",
    "KAF": "bindings/kafka.md",
}
_SPAN = re.compile(r"`([^`]+)`")
_ID = re.compile(r"\[([A-Z]{3}-\d{3})\]")


class Vocabulary(msgspec.Struct, frozen=True):
    """claims: path -> values that a condition may name (none where the claim is a number or a list).
    anomalies: code -> ids of the requirements that it decides, as the table says. faults: their names.
    """

    claims: Mapping[str, tuple[str, ...]]
    anomalies: Mapping[str, tuple[str, ...]]
    faults: frozenset[str] = frozenset()


def vocabulary(documents: Sequence[Document]) -> Vocabulary:
    """Empty where conformance.md is missing: then every reference to it is a finding."""
    source = next((one for one in documents if one.name == SOURCE), None)
    if source is None:
        return Vocabulary({}, {})
    claims = {_name(row[0]): tuple(_SPAN.findall(row[1])) for row in table(source, "Claims")}
    anomalies = {_name(row[0]): tuple(_ID.findall(row[-1])) for row in table(source, "Anomalies")}
    faults = {_name(row[1]) for one in documents if one.name == FAULTS for row in table(one, "The faults")}
    return Vocabulary(claims, anomalies, frozenset(faults))


def _name(cell: str) -> str:
    return cell.strip("`* ")
