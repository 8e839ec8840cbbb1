"""The specification itself: clean, current, and in the words of the code that it describes."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

import eventproof.spec
from eventproof.adapters.claims import Claims
from eventproof.adapters.errors import (
    AlreadySettled,
    EventproofError,
    LeaseExpired,
    Rejected,
    Unsupported,
)
from eventproof.adapters.nats.api import KINDS
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Broker, Delivery, Receipt
from eventproof.conformance.history.record import GroupInfo, Header, LogEntry, Record, TopicInfo
from eventproof.conformance.targets.facilities import Facilities
from eventproof.conformance.targets.target import Target
from eventproof.schemas.validation import problems, validator
from eventproof.spec import requirements
from eventproof.spec.__main__ import HERE, main
from eventproof.spec.parse import document, read, table
from eventproof.spec.vocabulary import AREAS, vocabulary

LAST = {"A": 7, "B": 6, "C": 10, "D": 4, "E": 8, "F": 2, "L": 2, "H": 2, "P": 4}
NUMBERED = {f"{family}{number}" for family, last in LAST.items() for number in range(1, last + 1)}
JUDGED = NUMBERED - {"E1"} | {"A4p", "D1p", "E1l", "E1h", "E7c", "E7n"}
TESTS = Path(__file__).resolve().parents[1]
ADAPTERS = HERE.parent / "adapters"
UNSET = {"none", "none: unlimited", "empty: all"}
port = document("adapter.md", (HERE / "adapter.md").read_text(encoding="utf-8"))
history = document("history.md", (HERE / "history.md").read_text(encoding="utf-8"))


def paths(schema: dict, definitions: dict, prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Claim paths and the values that a condition may name, from the JSON Schema of the claims."""
    found = {}
    for name, one in schema["properties"].items():
        if "$ref" in one or "allOf" in one:
            target = (one.get("$ref") or one["allOf"][0]["$ref"]).rsplit("/", 1)[-1]
            found |= paths(definitions[target], definitions, f"{name}.")
        elif one.get("type") == "boolean":
            found[prefix + name] = ("false", "true")
        elif one.get("type") == "array":
            found[prefix + name] = tuple(one["items"]["enum"])
        else:
            found[prefix + name] = tuple(one.get("enum", ()))
    return found


def test_the_specification_is_clean_and_current(capsys) -> None:
    assert (main(["--check"]), capsys.readouterr().err) == (0, "")


def test_the_table_of_claims_is_what_adapters_can_claim() -> None:
    (schema,), definitions = msgspec.json.schema_components([Claims], ref_template="{name}")
    expected = paths(definitions[schema["$ref"]], definitions)
    written = vocabulary(read(HERE)).claims
    assert set(written) == set(expected)
    assert {path: set(values) for path, values in written.items()} == {p: set(v) for p, v in expected.items()}


def test_every_anomaly_of_this_release_decides_a_requirement() -> None:
    assert {code for one in requirements for code in one.anomalies} == JUDGED
    assert set(vocabulary(read(HERE)).anomalies) == JUDGED | {"B7"}


def test_requirements_json_is_valid_under_its_schema() -> None:
    instance = msgspec.json.decode((files(eventproof.spec) / "requirements.json").read_bytes())
    assert problems(validator("conformance/requirements"), instance) == []


def test_the_schema_wants_a_reason_where_no_test_decides() -> None:
    instance = msgspec.json.decode((files(eventproof.spec) / "requirements.json").read_bytes())
    instance["requirements"][0] |= {"verify": "none"}
    assert len(problems(validator("conformance/requirements"), instance)) == 1


def test_requirements_come_in_the_order_of_the_areas() -> None:
    order = list(AREAS)
    keys = [(order.index(one.area), one.id) for one in requirements]
    assert keys == sorted(keys)
    assert {one.area for one in requirements} == set(order)


def test_every_deterministic_requirement_is_named_by_a_test() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    named = set(re.findall(r"[a-z]{3}_[0-9]{3}", " ".join(re.findall(r"def (test_\w+)", text))))
    wanted = {one.id for one in requirements if one.verify == "deterministic" and one.status == "active"}
    assert {one for one in wanted if one.lower().replace("-", "_") not in named} == set()


def test_history_names_the_fields_of_a_record_with_their_defaults() -> None:
    written = {row[0].strip("`"): row[1] for row in table(history, "The fields of a record")}
    assert list(written) == [one.name for one in msgspec.structs.fields(Record)]
    assert written == {one.name: default(one) for one in msgspec.structs.fields(Record)}


def test_history_names_the_fields_of_the_header_with_their_defaults() -> None:
    written = {row[0].strip("`"): row[1] for row in table(history, "The header")}
    assert written == {one.name: default(one) for one in msgspec.structs.fields(Header)}
    text = history.text
    for one in (TopicInfo, GroupInfo):
        assert all(f"`{field.name}`" in text for field in msgspec.structs.fields(one))
    assert [field.name for field in msgspec.structs.fields(LogEntry)] == ["call", "position", "partition"]


def test_the_port_names_the_fields_of_a_policy_with_their_defaults() -> None:
    written = {row[0].strip("`"): row[2] for row in table(port, "The policy")}
    assert list(written) == [field.name for field in msgspec.structs.fields(Policy)]
    for field in msgspec.structs.fields(Policy):
        plain = str(field.default or "").strip("()")
        assert written[field.name].strip("`") == plain or (not plain and written[field.name] in UNSET)


def test_the_port_names_each_kind_of_refusal() -> None:
    written = {row[0].strip("`") for row in table(port, "What is raised")}
    code = "\n".join(path.read_text(encoding="utf-8") for path in ADAPTERS.rglob("*.py"))
    raised = set(re.findall(r"Rejected\(\s*\"([a-z-]+)\"", code)) | set(KINDS.values())
    assert written == raised | {kind(LeaseExpired()), kind(AlreadySettled()), kind(Unsupported(""))}


def kind(refusal: Rejected) -> str:
    return refusal.kind


@pytest.mark.parametrize(
    "one", [*EventproofError.__subclasses__(), *Rejected.__subclasses__()], ids=lambda one: one.__name__
)
def test_the_port_names_each_error_of_the_adapters(one: type[EventproofError]) -> None:
    assert not one.__module__.startswith("eventproof.adapters") or f"`{one.__name__}`" in port.text


def test_the_port_names_what_its_protocols_have() -> None:
    members = {name for of in (Broker, Delivery) for name in vars(of) if not name.startswith("_")}
    for name in (*members, *(field.name for field in msgspec.structs.fields(Receipt))):
        assert re.search(rf"\b{name}\b", port.text), name


def test_conformance_names_what_a_target_may_offer() -> None:
    source = document("conformance.md", (HERE / "conformance.md").read_text(encoding="utf-8"))
    rows = [row[0] for row in table(source, "What a target offers")]
    written = {name for row in rows for name in re.findall(r"`([a-z_]+)", row)}
    described = {name for name in set(dir(Target)) | set(Target.__annotations__) if not name.startswith("_")}
    assert written == described
    assert described | {"visit", "preflight", "present", "announce"} == set(Facilities.__struct_fields__)


def test_kinds_of_record_carry_fields_that_a_record_has() -> None:
    known = {one.name for one in msgspec.structs.fields(Record)}
    headings = ("Publishing", "Consuming", "Settling", "Dead letters and the end of a run")
    for heading in (*headings, "Faults and administration"):
        rows = list(table(history, heading))
        assert rows
        for row in rows:
            assert {word.strip("` ") for word in row[1].split(",")} - {""} <= known


def default(field: msgspec.structs.FieldInfo) -> str:
    """A default as history.md writes it."""
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    words = {"": "empty", None: "null", (): "none"}
    return "none" if value == {} else words[value] if value in words else str(value)
