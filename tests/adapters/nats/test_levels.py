"""spec/levels.md says of NATS what its two adapters claim."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from eventproof.adapters.claims import Claims, Survives
from eventproof.adapters.nats import claims as jetstream
from eventproof.adapters.nats.content import HEADROOM
from eventproof.adapters.nats.core import claims as core
from eventproof.spec.__main__ import HERE
from eventproof.spec.parse import document, table

LEVELS = document("levels.md", (HERE / "levels.md").read_text(encoding="utf-8"))
SECTIONS = ("Publishing", "Order", "Handing out and settling", "Retries and dead letters")
COLUMNS: Mapping[str, tuple[int, Claims]] = {
    "core NATS": (1, core.claims(60_000)),
    "JetStream": (2, jetstream.claims(60_000)),
}
NO_ROW = {"survives"}  # has a table of its own
STATES = tuple(field.name for field in msgspec.structs.fields(Survives))


def cells(number: int) -> dict[str, str]:
    """A column of the four tables, by claim path."""
    rows = (row for section in SECTIONS for row in table(LEVELS, section))
    return {row[0].strip("`"): row[number] for row in rows}


def claimed(value: Claims, path: str) -> Any:
    found: Any = msgspec.to_builtins(value)
    for name in path.split("."):
        found = found[name]
    return found


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def agrees(cell: str, value: Any, default: Any) -> bool:
    """Whether a cell says a claim: the first word in code, each flag of several, a scope and its window."""
    if cell == "—":
        return bool(value == default)
    if not isinstance(value, dict):
        return words(cell)[:1] == [str(value).lower() if isinstance(value, bool) else value]
    if "window" in value:
        window = "" if value["window"] is None else f"{value['window']:g} s"
        return words(cell)[:1] == [value["scope"]] and window in cell
    return set(words(cell)) == {name for name, flag in value.items() if flag}


def differing(column: Mapping[str, str], value: Claims) -> Iterator[str]:
    """The claims of which a column says another thing, or whose mark is wrong: *suite* is for claims."""
    for path, cell in column.items():
        found, default = claimed(value, path), claimed(Claims(), path)
        if path != "flow.max_payload" and not agrees(cell, found, default):
            yield path
        if ("*suite*" in cell) is (found == default):
            yield f"{path} suite"


def surviving(number: int, value: Claims) -> Iterator[str]:
    """The faults of which a column of the table of what survives says another thing."""
    rows = {row[0].strip("`"): row[number] for row in table(LEVELS, "What survives")}
    survives = msgspec.to_builtins(value.survives)
    faults = {fault for of_state in survives.values() for fault in of_state}
    for fault in faults | rows.keys():
        told = {word for word in words(rows.get(fault, "")) if word in STATES}
        if told != {state for state in STATES if fault in survives[state]}:
            yield fault


def without(path: str, value: Any) -> Callable[[Claims], Claims]:
    """Claims with one of them changed."""

    def change(claims: Claims) -> Claims:
        fields = msgspec.to_builtins(claims)
        *parents, name = path.split(".")
        inner = fields[parents[0]] if parents else fields
        inner[name] = value
        return msgspec.convert(fields, Claims)

    return change


@pytest.mark.parametrize("name", COLUMNS)
def test_the_column_says_what_the_adapter_claims(name: str) -> None:
    number, value = COLUMNS[name]
    assert list(differing(cells(number), value)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("loss", "may"),
        ("ordering.strictness", "first-delivery"),
        ("publish_dedup", {"scope": "topic", "window": 60.0}),
        ("publish_dedup", {"scope": "none", "window": None}),
        ("attempts", {"never_low": True, "never_high": True}),
        ("redelivery.nack", False),
        ("expiry", False),
    ],
)
def test_another_claim_is_seen(path: str, value: Any) -> None:
    found = list(differing(cells(2), without(path, value)(jetstream.claims(60_000))))
    assert path in found


def test_a_claim_without_its_mark_is_seen() -> None:
    column = cells(1)
    column["expiry"] = column["expiry"].replace("*suite*", "*measured*")
    column["loss"] += " *suite*"
    assert list(differing(column, core.claims(60_000))) == ["loss suite", "expiry suite"]


def test_no_claim_is_left_out() -> None:
    for _, value in COLUMNS.values():
        said = {path.partition(".")[0] for path in cells(1)}
        assert set(msgspec.to_builtins(value)) - said == NO_ROW
        for axis in ("ordering", "flow"):
            assert {path for path in cells(1) if path.startswith(axis)} == {
                f"{axis}.{name}" for name in msgspec.to_builtins(getattr(value, axis))
            }


def test_the_largest_event_is_what_the_adapters_keep_free() -> None:
    column = cells(1)
    assert column["flow.max_payload"].startswith(f"`max_payload` less {HEADROOM:,}.")
    assert cells(2)["flow.max_payload"].startswith("the same.")


def test_what_survives_is_what_is_claimed() -> None:
    assert list(surviving(1, jetstream.claims(60_000))) == []
    assert core.claims(60_000).survives == Survives()


@pytest.mark.parametrize(
    ("state", "faults", "wrong"),
    [
        ("acks", ["consumer-loss", "broker-kill"], "broker-kill"),
        ("messages", ["consumer-loss"], "broker-kill"),
        ("dedup", ["consumer-loss", "broker-kill", "all-nodes"], "all-nodes"),
    ],
)
def test_another_state_that_survives_is_seen(state: str, faults: list[str], wrong: str) -> None:
    assert list(surviving(1, without(f"survives.{state}", faults)(jetstream.claims(60_000)))) == [wrong]
