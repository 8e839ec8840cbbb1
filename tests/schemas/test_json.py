"""The JSON binding (spec/bindings/json.md), requirement by requirement."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from eventproof.schemas.event import ABSENT, Event, InvalidEvent
from eventproof.schemas.structured import CONTENT_TYPE, decode, encode, is_structured

MINIMAL = {
    "specversion": "1.0",
    "id": "1",
    "source": "/orders",
    "type": "t",
    "time": "2026-07-01T12:00:00.000000Z",
}
REQUIRED = {"source": "/orders", "type": "t", "id": "1", "time": "2026-07-01T12:00:00Z"}
NAMED = {*MINIMAL, "datacontenttype", "dataschema", "subject", "data"}


def read(**members: Any) -> Event:
    return decode(json.dumps({**MINIMAL, **members}).encode())


def read_text(name: str, literal: str) -> Event:
    """The event of a document with one more member, its value as JSON text."""
    return decode(f'{json.dumps(MINIMAL)[:-1]},"{name}":{literal}}}'.encode())


def members(**given: Any) -> dict[str, Any]:
    return json.loads(encode(Event(**{**REQUIRED, **given})))


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/cloudevents+json", True),
        ("APPLICATION/CloudEvents+Json;charset=utf-8", True),
        ("application/cloudevents-batch+json", False),
        ("application/cloudevents", False),
        ("application/cloudevents+json2", False),
        ("application/json", False),
    ],
)
def test_jsn_001_the_form_has_one_media_type(content_type: str, expected: bool) -> None:
    assert CONTENT_TYPE == "application/cloudevents+json"
    assert is_structured(content_type) is expected


def test_jsn_002_what_is_written_is_utf_8_without_a_mark() -> None:
    raw = encode(Event(**REQUIRED, subject="é\U0001f600", data={"ß": "\ufeff"}))
    assert raw.startswith(b"{")
    assert raw.decode("utf-8").endswith('"data":{"ß":"\ufeff"}}')


@pytest.mark.parametrize(
    "raw",
    [json.dumps(MINIMAL).encode(name) for name in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32")]
    + [json.dumps({**MINIMAL, "subject": "é"}, ensure_ascii=False).encode("latin-1")],
)
def test_jsn_002_another_encoding_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidEvent):
        decode(raw)


def test_jsn_003_a_member_that_nobody_knows_is_an_attribute() -> None:
    event = read(nextyear="text", flag=True, count=3)
    assert dict(event.extensions) == {"nextyear": "text", "flag": True, "count": 3}
    assert json.loads(encode(event)) == {**MINIMAL, "nextyear": "text", "flag": True, "count": 3}


@pytest.mark.parametrize("name", ["Next", "next-year", "next.year", "", "é", "a" * 21, "extensions "])
def test_jsn_003_a_member_whose_name_no_attribute_has_is_refused(name: str) -> None:
    with pytest.raises(InvalidEvent):
        read(**{name: "text"})


@pytest.mark.parametrize(
    "name", ["subject", "dataschema", "datacontenttype", "sequence", "dlattempts", "other"]
)
def test_jsn_004_null_is_unset(name: str) -> None:
    assert read(**{name: None}) == read()
    assert name not in members(**({name: None} if name in NAMED else {"extensions": {name: None}}))


def test_jsn_004_null_data_is_a_value() -> None:
    assert (read(data=None).data, read().data) == (None, ABSENT)
    assert "data" not in members()
    assert members(data=None)["data"] is None
    with pytest.raises(InvalidEvent):
        read(data_base64=None)


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "image/png"])
def test_jsn_005_the_type_of_the_data_decides_the_member(content_type: str | None) -> None:
    body = b'{"a":1}'
    written = members(data=body, datacontenttype=content_type)
    assert (written.get("data_base64"), "data" in written) == (b64encode(body).decode(), False)
    written = members(data=body.decode(), datacontenttype=content_type)
    assert (written.get("data"), "data_base64" in written) == (body.decode(), False)
    assert read(data_base64="", datacontenttype=content_type).data == b""


JSON_TYPES = ["application/json", "text/JSON", "a/b+json", "A/B+JsOn;x=y", 'application/json ; a="b"', None]
OTHER_TYPES = ["application/xml", "application/jsonx", "application/json+xml", "a/bjson", "text/plain;a=json"]


@pytest.mark.parametrize("content_type", JSON_TYPES)
@pytest.mark.parametrize("data", [None, True, 1, 1.5, [], {"a": 1}, "text", "42", '{"a":1}'])
def test_jsn_006_under_a_json_type_data_is_the_value_itself(content_type: str | None, data: object) -> None:
    event = read(data=data, datacontenttype=content_type)
    assert (event.data, type(event.data)) == (data, type(data))


@pytest.mark.parametrize("content_type", OTHER_TYPES)
@pytest.mark.parametrize("data", [None, True, 1, 1.5, [], {"a": 1}])
def test_jsn_006_under_another_type_data_is_a_string(content_type: str, data: object) -> None:
    with pytest.raises(InvalidEvent):
        read(data=data, datacontenttype=content_type)
    with pytest.raises(InvalidEvent):
        members(data=data, datacontenttype=content_type)
    assert read(data="<a/>", datacontenttype=content_type).data == "<a/>"


@pytest.mark.parametrize(
    "text", ["_-8=", "AA", "AAA", "AB==", "AA==\n", " AA==", "A A=", "AA==AA==", "é", "="]
)
def test_jsn_007_bytes_have_one_spelling(text: str) -> None:
    with pytest.raises(InvalidEvent):
        read(data_base64=text)


def test_jsn_007_the_standard_alphabet_is_written() -> None:
    assert members(data=b"\xfb\xff\xfe\xff")["data_base64"] == "+//+/w=="


@pytest.mark.parametrize(
    "number", [0, -1, 2**53 + 1, -(2**53) - 1, 2**63, 2**64 + 1, -(2**64) - 1, 10**3000 + 1]
)
def test_jsn_008_an_integer_is_exact(number: int) -> None:
    event = read_text("data", str(number))
    assert (event.data, type(event.data)) == (number, int)
    assert members(data=number)["data"] == number


@pytest.mark.parametrize("literal", ["1e999", "-1e999", "9" * 3914, "9" * 5000, "1" + "0" * 100_000])
def test_jsn_008_a_number_out_of_bounds_is_refused(literal: str) -> None:
    with pytest.raises(InvalidEvent):
        read_text("data", literal)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2026-07-01T12:00:00Z", "2026-07-01T12:00:00.000000Z"),
        ("2026-07-01t14:00:00.5+02:00", "2026-07-01T12:00:00.500000Z"),
        ("2026-07-01T12:00:00.123456789z", "2026-07-01T12:00:00.123456789Z"),
        ("2026-07-01T12:00:00-00:00", "2026-07-01T12:00:00.000000Z"),
    ],
)
def test_jsn_009_a_time_has_one_form(given: str, written: str) -> None:
    assert members(time=given)["time"] == written
    assert read(time=given) == read(time=written)


@pytest.mark.parametrize("time", ["2026-06-30T23:59:60Z", "0000-01-01T00:00:00Z", "2026-07-01T12:00:00", 0])
def test_jsn_009_a_time_that_cannot_be_held_is_refused(time: object) -> None:
    with pytest.raises(InvalidEvent):
        read(time=time)


@pytest.mark.parametrize("literal", ["true", "-2147483648", "2147483647", '"42"', '""'])
def test_jsn_010_an_extension_keeps_its_type(literal: str) -> None:
    event = read_text("other", literal)
    value = json.loads(literal)
    assert (event.extensions["other"], type(event.extensions["other"])) == (value, type(value))
    assert json.loads(encode(event)) == {**MINIMAL, "other": value}


@pytest.mark.parametrize("literal", ["2147483648", "-2147483649", "1.5", "1.0", "1e0", "[]", "{}", "[1]"])
def test_jsn_010_an_extension_of_another_type_is_refused(literal: str) -> None:
    with pytest.raises(InvalidEvent):
        read_text("other", literal)


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_jsn_011_depth_is_bounded(opened: str, closed: str) -> None:
    def nested(levels: int) -> str:
        core = "1" if closed == "}" else ""
        return opened * levels + core + closed * levels

    event = read_text("data", nested(128))
    assert decode(encode(event)) == event
    for levels in (129, 1_000, 100_000):
        with pytest.raises(InvalidEvent):
            read_text("data", nested(levels))
