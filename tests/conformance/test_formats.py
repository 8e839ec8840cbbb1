"""What the suite writes is what its documents say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventproof import spec
from eventproof.conformance import formats
from eventproof.conformance.formats import FORMATS, REQUIRED
from eventproof.conformance.history.record import History
from eventproof.conformance.scenario import encode
from eventproof.conformance.strategies import generate
from eventproof.schemas.validation import problems, validator
from tests.conformance.brokers import run

KINDS = (
    (Path(next(iter(spec.__path__))) / "history.md")
    .read_text(encoding="utf-8")
    .partition("## The kinds of record")[2]
)


def fields_by_kind() -> dict[str, set[str]]:
    """The tables of spec/history.md: kind -> the fields that it carries."""
    found = {}
    for kinds, fields in re.findall(r"^\| (`[a-z.`, ]+`) \|([^|]*)\|", KINDS, re.MULTILINE):
        for kind in re.findall(r"`([a-z]+(?:\.[a-z]+)?)`", kinds):
            found[kind] = set(re.findall(r"`(\w+)`", fields))
    return found


@pytest.fixture(scope="module")
def histories() -> list[History]:
    return run([*generate(60, 3), *generate(60, 3, led=2)])


def test_the_schemas_are_current() -> None:
    assert formats.main(["--check"]) == 0


def test_every_kind_of_record_is_documented() -> None:
    assert set(REQUIRED) <= set(fields_by_kind())


def test_a_record_carries_what_the_document_says_of_its_kind(histories: list[History]) -> None:
    documented = fields_by_kind()
    for history in histories:
        for record in history.records:
            carried = set(msgspec.to_builtins(record)) - {"i", "t", "kind"}
            assert carried <= documented[record.kind], record.kind


def test_histories_are_valid_under_their_schemas(histories: list[History]) -> None:
    header, record = validator("conformance/history-header"), validator("conformance/history-record")
    for history in histories:
        assert problems(header, msgspec.json.decode(msgspec.json.encode(history.header))) == []
    for one in {r.kind: r for history in histories for r in history.records}.values():
        assert problems(record, msgspec.json.decode(msgspec.json.encode(one))) == []


def test_scenarios_are_valid_under_their_schema() -> None:
    for scenario in (*generate(60, 4), *generate(60, 4, led=2)):
        assert problems(validator("conformance/scenario"), msgspec.json.decode(encode(scenario))) == []


@pytest.mark.parametrize("kind", [kind for kind, fields in REQUIRED.items() if fields])
def test_a_record_without_what_its_kind_needs_is_invalid(kind: str) -> None:
    record: dict[str, Any] = {"i": 1, "t": 0, "kind": kind}
    assert len(problems(validator("conformance/history-record"), record)) == len(REQUIRED[kind])


def test_every_format_has_a_schema_of_its_name() -> None:
    for name in FORMATS:
        assert validator(f"conformance/{name}").schema["$id"].endswith(f"/{name}.schema.json")
