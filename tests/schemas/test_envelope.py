"""The envelope schema: it and the decoder, written apart, refuse the same documents."""

import json

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing.exceptions import Unresolvable

from eventproof.schemas import attributes, validation
from eventproof.schemas.event import InvalidEvent
from eventproof.schemas.structured import decode
from eventproof.schemas.validation import (
    ENVELOPE,
    UnknownSchema,
    problems,
    schema,
    validate_envelope,
    validator,
)

MINIMAL = {
    "specversion": "1.0",
    "id": "1",
    "source": "/orders",
    "type": "t",
    "time": "2026-07-01T12:00:00.123456Z",
}
VALID = [
    {},
    {"data": None},
    {"data": {"a": [1]}, "datacontenttype": "application/json;charset=utf-8"},
    {"data": "<a/>", "datacontenttype": "text/xml"},
    {"data_base64": "AP8=", "datacontenttype": 'image/png; name="a b"'},
    {
        "subject": None,
        "dataschema": None,
        "datacontenttype": None,
        "partitionkey": None,
        "x": None,
        "data": {},
    },
    {"x": True, "y": -(2**31), "z": 2**31 - 1, "empty": "", "a1234567890123456789": "é"},
    {"time": "2026-07-01t12:00:00.123456789+02:00"},
    {"source": "urn:x:y", "dataschema": "https://[::1]/a?b#c"},
    {
        "sequence": "0" * 20,
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "tracestate": "a=b",
        "dataref": "/x",
    },
    {"correlationid": "c", "causationid": "c", "expirytime": "2026-07-01T12:00:00Z"},
    {
        "dlreason": "attempts",
        "dlattempts": 3,
        "dltime": "2026-07-01T12:00:00Z",
        "dltopic": "t",
        "dlgroup": "g",
    },
    {"dlerror": "e" * 1024},
]
INVALID = {
    "specversion": ["0.3", 1.0, None, ""],
    "id": ["", None, 1, "a\n", "\x7f", "\x85", "\ufdd0", "\U0001ffff", ["1"]],
    "source": ["", None, "a b", "1a:b", "/%zz", "/é", "http://[::g]/", 1],
    "type": ["", None, {}, "t\x00"],
    "time": ["", None, 0, "2026-07-01", "2026-07-01T12:00:00", "2026-02-30T12:00:00Z", "2026-06-30T23:59:60Z",
             "0000-01-01T00:00:00Z", "2026-07-01T24:00:00Z", "2026-07-01T12:00:00+24:00",
             "2026-07-01T12:00:00Z\n"],
    "subject": ["", 1, "\u0000"],
    "dataschema": ["", "/relative", "a b", 1],
    "datacontenttype": ["", "json", "text/plain;", "a/b c", 1, "a/b\n"],
    "data_base64": [None, 1, "A", "AA", "AA=", "A===", "AB==", "AAB=", "A A=", "AA==\n", "_-8=", "é"],
    "partitionkey": ["", 1, True],
    "sequence": ["1", "0" * 21, 1, "0" * 20 + "\n", "\u0661" * 20],
    "traceparent": ["", "00", f"00-{'A' * 32}-{'b' * 16}-01"],
    "tracestate": [1],
    "correlationid": [""],
    "causationid": [""],
    "expirytime": ["soon", 0],
    "dataref": ["", "a b"],
    "dlreason": ["", "bored", 1],
    "dlattempts": ["3", -1, True, 1.5, 2**31],
    "dltime": ["now"],
    "dltopic": ["", 1],
    "dlgroup": ["", 1],
    "dlerror": [1, "e" * 1025, "a\nb"],
    "other": [2**31, -(2**31) - 1, 1.5, [], {}, "\x1f"],
    "Upper": ["v", None],
    "under_score": ["v", None],
    "data_base6": ["v"],
    "": ["v"],
    "a" * 21: ["v"],
    "ends\n": ["v"],
}  # fmt: skip
TOGETHER = [
    {"data": 1, "data_base64": "AA=="},
    {"data": None, "data_base64": "AA=="},
    {"data": {"a": 1}, "datacontenttype": "text/plain"},
    {"data": None, "datacontenttype": "application/xml"},
    {"data": 1, "datacontenttype": "application/jsonx"},
]
BAD = [{name: value} for name, values in INVALID.items() for value in values] + TOGETHER


@pytest.mark.parametrize("members", VALID, ids=repr)
def test_schema_and_decoder_take_the_same(members):
    document = {**MINIMAL, **members}
    validate_envelope(document)
    decode(json.dumps(document).encode())


@pytest.mark.parametrize("members", BAD, ids=lambda members: ascii(members)[:60])
def test_schema_and_decoder_refuse_the_same(members):
    document = {**MINIMAL, **members}
    with pytest.raises(InvalidEvent):
        decode(json.dumps(document).encode())
    with pytest.raises(InvalidEvent):
        validate_envelope(document)


@pytest.mark.parametrize("name", MINIMAL)
def test_env_001_schema_and_decoder_require_the_same(name):
    document = {key: value for key, value in MINIMAL.items() if key != name}
    with pytest.raises(InvalidEvent):
        decode(json.dumps(document).encode())
    with pytest.raises(InvalidEvent, match=name):
        validate_envelope(document)


@pytest.mark.parametrize(("name", "value"), [("x", 1.0), ("dlerror", "\u00e9" * 1024), ("data", 10**4000)])
def test_what_the_schema_cannot_see_the_decoder_does(name, value):
    document = {**MINIMAL, name: value}
    validate_envelope(document)
    with pytest.raises(InvalidEvent):
        decode(json.dumps(document).encode())


def test_a_refusal_names_path_and_keyword():
    with pytest.raises(InvalidEvent) as refused:
        validate_envelope({**MINIMAL, "time": "soon"})
    assert str(refused.value) == "time: $.time: 'soon' is not a 'date-time' (keyword format)"
    with pytest.raises(InvalidEvent) as refused:
        validate_envelope({**MINIMAL, "dlerror": "e" * 100_000})
    assert len(str(refused.value)) < 1000


def test_the_schema_says_what_the_code_says():
    found = schema(ENVELOPE)
    texts = found["$defs"]
    assert texts["mediatype"]["pattern"] == attributes.MEDIA_TYPE
    assert texts["sequence"]["pattern"] == attributes.SEQUENCE
    assert texts["traceparent"]["pattern"] == attributes.TRACEPARENT
    assert attributes.NONCHARACTERS in texts["text"]["not"]["pattern"]
    assert found["if"]["properties"]["datacontenttype"]["not"]["pattern"] == attributes.JSON_TYPE
    assert found["properties"]["dlreason"]["anyOf"][1]["enum"] == list(attributes.REASONS)
    assert found["properties"].keys() == attributes.CORE | attributes.KNOWN | {"data_base64"}
    assert found["$id"] == "https://eventproof.dev/schemas/envelope/v1/envelope.schema.json"
    assert found["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_formats_are_checked():
    assert {"date-time", "uri", "uri-reference"} <= FormatChecker().checkers.keys()
    assert problems(validator(ENVELOPE), MINIMAL) == []
    assert (
        len(problems(validator(ENVELOPE), {**MINIMAL, "time": "soon", "dataschema": "/x", "source": "a b"}))
        == 3
    )


def test_a_validator_is_made_once():
    assert validator(ENVELOPE) is validator(ENVELOPE)


@pytest.mark.parametrize(
    "name", ["envelope/v1/missing", "../schemas/envelope/v1/envelope", "", "/etc/passwd", "a\n"]
)
def test_an_unknown_schema_is_refused(name):
    with pytest.raises(UnknownSchema):
        validator(name)


def test_references_are_found_in_the_package_and_nowhere_else():
    registry = validation._registry()
    known = Draft202012Validator({"$ref": schema(ENVELOPE)["$id"]}, registry=registry)
    assert problems(known, MINIMAL) == []
    assert problems(known, {}) != []
    elsewhere = Draft202012Validator({"$ref": "https://example.com/unknown.json"}, registry=registry)
    with pytest.raises(Exception, match=r"example\.com") as refused:
        problems(elsewhere, {})
    assert isinstance(refused.value, Unresolvable)
