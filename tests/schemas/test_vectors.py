"""The wire vectors hold for our codecs, and the files are what their schema says."""

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from eventproof.schemas import binary, structured
from eventproof.schemas.event import InvalidEvent
from eventproof.schemas.validation import problems, validator

FOLDER = Path(binary.__file__).parent / "vectors"
FILES = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}
VECTORS = [vector for vectors in FILES.values() for vector in vectors]
MAPPINGS = {"nats": binary.NATS, "kafka": binary.KAFKA}
# What the SDK does wrong on the wire (2.2.0), by words of the vectors' reasons and by vectors that hold it.
DEFECTS = {
    "a missing id, time or specversion is invented": ["without-id", "without-time", "without-specversion"],
    "null attributes raise": ["nats-structured-null-attributes"],
    "Kafka mode decided by header presence": ["kafka-structured-with-headers-too"],
    "the Kafka key overwrites partitionkey": ["kafka-binary-key-differs", "kafka-structured-key-differs"],
    "no data becomes empty bytes": ["kafka-binary-no-data", "nats-binary-no-data"],
    "booleans become True": ["kafka-binary-boolean", "nats-binary-boolean", "structured-typed"],
    "bytes become a Python repr": ["kafka-structured-bytes", "nats-structured-bytes"],
    "lists become a Python repr": ["structured-list-attribute"],
    '"42" comes back as 42': ["kafka-binary-text-of-digits", "nats-binary-text-of-digits"],
    "Application/JSON is not JSON": ["binary-json-any-case"],
    "no URI check": ["binary-source-no-uri"],
    "no control-character check": ["kafka-binary-control-character", "nats-binary-encoded-newline"],
    "no surrogate check": ["structured-surrogate-in-attribute", "nats-binary-encoded-surrogate"],
    "%C0%A0 decoded to U+FFFD": ["nats-binary-overlong"],
    "nanoseconds cut": ["kafka-binary-nanoseconds", "nats-binary-nanoseconds"],
}


def of(*directions, refused):
    chosen = [v for v in VECTORS if v["direction"] in directions and (v["error"] is not None) is refused]
    return pytest.mark.parametrize("vector", chosen, ids=[v["name"] for v in chosen])


def event(vector):
    return structured.decode(json.dumps(vector["event"]).encode())


def value(vector):
    return None if vector["value_base64"] is None else b64decode(vector["value_base64"], validate=True)


def read(vector):
    return binary.read(
        [tuple(header) for header in vector["headers"]], value(vector), MAPPINGS[vector["broker"]]
    )


def write(vector):
    if vector["mode"] == "binary":
        return binary.encode(event(vector), MAPPINGS[vector["broker"]])
    return [("content-type", structured.CONTENT_TYPE)], structured.encode(event(vector))


def lowered(headers):
    return sorted((name.lower(), text) for name, text in headers)


@of("both", "read", refused=False)
def test_env_005_the_message_gives_the_event(vector):
    assert read(vector) == event(vector)


@of("both", refused=False)
def test_env_005_the_event_gives_the_message(vector):
    headers, body = write(vector)
    assert lowered(headers) == lowered(vector["headers"])
    assert body == value(vector)


@of("read", refused=True)
def test_env_004_the_message_is_refused(vector):
    with pytest.raises(InvalidEvent) as refused:
        read(vector)
    assert named(refused.value) == vector["error"]["attribute"]


@of("write", refused=True)
def test_env_005_the_event_is_refused(vector):
    given = event(vector)
    with pytest.raises(InvalidEvent, match="use structured mode") as refused:
        binary.encode(given, MAPPINGS[vector["broker"]])
    assert named(refused.value) == vector["error"]["attribute"]
    assert structured.decode(structured.encode(given)) == given


def named(error):
    """The attribute; one that has no attribute's name is shown in quotes."""
    return error.attribute and error.attribute.strip("'")


def test_env_007_the_content_type_alone_says_the_mode():
    for vector in VECTORS:
        types = [text.lower() for name, text in vector["headers"] if name.lower() == "content-type"]
        if vector["direction"] != "write" and len(types) < 2:
            structured_mode = any(text.startswith("application/cloudevents") for text in types)
            assert vector["mode"] == ("structured" if structured_mode else "binary"), vector["name"]


def test_a_written_record_has_the_partition_key_as_its_key():
    written = [v for v in VECTORS if v["broker"] == "kafka" and v["direction"] == "both"]
    assert {v["name"]: v["key"] for v in written} == {v["name"]: event(v).key for v in written}
    assert {None, "k", "köln"} == {v["key"] for v in written}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_its_schema_says(name):
    assert problems(validator("conformance/vectors"), FILES[name]) == []
    assert all(vector["name"].startswith(f"{name}-") for vector in FILES[name])
    texts = [vector["value_base64"] for vector in FILES[name] if vector["value_base64"]]
    assert all(b64encode(b64decode(text)).decode() == text for text in texts)


@pytest.mark.parametrize(
    "change",
    [
        {"direction": "write"},
        {"direction": "sideways"},
        {"event": None},
        {"event": {"id": "1"}},
        {"error": {"attribute": "id"}},
        {"headers": [["ce-id"]]},
        {"headers": [["ce-id", "1", "2"]]},
        {"headers": [["ce-id", 1]]},
        {"key": "k"},
        {"value_base64": None},
        {"more": 1},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_no_vector(change):
    good = next(v for v in VECTORS if v["name"] == "nats-binary-json")
    assert problems(validator("conformance/vectors"), [{**good, **change}])


def test_names_are_unique_and_there_are_enough():
    names = [vector["name"] for vector in VECTORS]
    assert len(names) == len(set(names)) >= 40
    assert set(FILES) == {f"{broker}-{mode}" for broker in MAPPINGS for mode in ("binary", "structured")}


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_defect_of_the_sdk_on_the_wire_has_a_vector(defect):
    names = {vector["name"] for vector in VECTORS}
    for wanted in DEFECTS[defect]:
        assert [name for name in names if name.endswith(wanted)], wanted
