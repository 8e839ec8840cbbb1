"""Structured JSON: what is written, and what reading refuses."""

import json

import pytest

from eventproof.schemas.event import ABSENT, Event, InvalidEvent
from eventproof.schemas.structured import CONTENT_TYPE, decode, encode, is_structured

MINIMAL = {
    "specversion": "1.0",
    "id": "1",
    "source": "/orders",
    "type": "t",
    "time": "2026-07-01T12:00:00.123456Z",
}
HEAD = json.dumps(MINIMAL)[:-1].encode() + b","


def written(**members):
    return json.dumps({**MINIMAL, **members}).encode()


def test_the_bytes_are_stable():
    event = Event(
        source="/orders", type="t", id="é", time="2026-07-01T12:00:00Z", subject="s", dataschema="urn:x",
        datacontenttype="application/json", data={"b": 1.0, "a": [True, None]},
        extensions={"z": 1, "partitionkey": "k"},
    )  # fmt: skip
    assert encode(event).decode() == (
        '{"specversion":"1.0","id":"é","source":"/orders","type":"t","time":"2026-07-01T12:00:00.000000Z",'
        '"datacontenttype":"application/json","dataschema":"urn:x","subject":"s","z":1,"partitionkey":"k",'
        '"data":{"b":1.0,"a":[true,null]}}'
    )


@pytest.mark.parametrize(
    ("members", "data"),
    [
        ({}, ABSENT),
        ({"data": None}, None),
        ({"data": ""}, ""),
        ({"data": {}}, {}),
        ({"data_base64": ""}, b""),
        ({"data_base64": "AP8="}, b"\x00\xff"),
        ({"data": "42"}, "42"),
        ({"data": 42}, 42),
        ({"data": 10**3000 + 1}, 10**3000 + 1),
        ({"data": 2**64 + 1}, 2**64 + 1),
        ({"data": "<a/>", "datacontenttype": "application/xml"}, "<a/>"),
        ({"data_base64": "AP8=", "datacontenttype": "application/json"}, b"\x00\xff"),
        ({"data": {"data": 1, "id": 2}, "datacontenttype": "Application/Vnd.X+JSON"}, {"data": 1, "id": 2}),
    ],
)
def test_env_005_data_comes_back_as_it_was(members, data):
    event = decode(written(**members))
    assert (event.data, type(event.data)) == (data, type(data))
    assert json.loads(encode(event)) == {**MINIMAL, **members}


def test_null_attributes_are_unset():
    event = decode(
        written(subject=None, dataschema=None, datacontenttype=None, partitionkey=None, other=None)
    )
    assert event == decode(written())
    assert json.loads(encode(event)) == MINIMAL


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "time"])
@pytest.mark.parametrize("null", [True, False])
def test_env_004_a_required_attribute_is_never_invented(name, null):
    document = {**MINIMAL, name: None} if null else {k: v for k, v in MINIMAL.items() if k != name}
    with pytest.raises(InvalidEvent) as refused:
        decode(json.dumps(document).encode())
    assert refused.value.attribute == name


def test_env_008_nanoseconds_are_not_cut():
    raw = written(time="2026-07-01T12:00:00.123456789Z")
    assert json.loads(encode(decode(raw)))["time"] == "2026-07-01T12:00:00.123456789Z"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"\xef\xbb\xbf" + written(),
        written() + b"{}",
        HEAD + b'"data":NaN}',
        HEAD + b'"data":-Infinity}',
        HEAD + b'"data":1e999}',
        HEAD + b'"data":' + b"1" * 5000 + b"}",
        HEAD + b'"data":01}',
        HEAD + b'"data":[1,]}',
        HEAD + b'"data":"\\ud800"}',
        HEAD + b'"data":{"\\udc00":1}}',
        HEAD + b'"data":"\xed\xa0\x80"}',
        HEAD + b'"data":"\x01"}',
        HEAD + b'"partitionkey":"\\ud800"}',
        HEAD + b'"partitionkey":"\\u0000"}',
        HEAD + b'"partitionkey":"\\uffff"}',
        HEAD + b'"data":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        HEAD + b'"data":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
        HEAD + b'"data":' + b"[" * 129 + b"]" * 129 + b"}",
        b"[" * 10_000,
    ],
)
def test_env_006_what_is_no_json_text_of_ours_is_refused(raw):
    with pytest.raises(InvalidEvent):
        decode(raw)


@pytest.mark.parametrize(
    "members",
    [
        b'"id":"1"}',
        b'"id":"2"}',
        b'"subject":"a","subject":"a"}',
        b'"subject" \t:"a","subject":"a"}',
        b'"data":{"a":1,"a":1}}',
        b'"data":{"a":1,"\\u0061":2}}',
        b'"data":[{"b":{"a":1,"c":"\\":","a":2}}]}',
        b'"data":1,"data":1}',
    ],
)
def test_env_006_a_member_named_twice_is_refused(members):
    with pytest.raises(InvalidEvent, match="twice"):
        decode(HEAD + members)


def test_env_006_data_and_data_base64_exclude_each_other():
    with pytest.raises(InvalidEvent, match="data_base64 exclude"):
        decode(written(data="", data_base64=""))


@pytest.mark.parametrize(
    "data",
    [
        '":',
        '\\":',
        '{"a":1,"a":1}',
        ":",
        '"',
        "\\",
        '"\\"":',
        {'":': '":'},
        {"": {"": ""}},
        [{"a": 1}, {"a": 1}],
    ],
)
def test_what_only_looks_like_a_member_within_a_string_is_not_counted(data):
    assert decode(written(data=data)).data == data


@pytest.mark.parametrize("indent", [None, 1])
def test_white_space_between_tokens_does_not_matter(indent):
    raw = json.dumps(
        {**MINIMAL, "data": {"a": {"b": [1]}}}, indent=indent, separators=(" , ", "\t:\n")
    ).encode()
    assert decode(raw).data == {"a": {"b": [1]}}


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (CONTENT_TYPE, True),
        ("Application/CloudEvents+JSON", True),
        ("application/cloudevents+json; charset=UTF-8", True),
        (" application/cloudevents+json ;charset=utf-8", True),
        ("application/cloudevents-batch+json", False),
        ("application/cloudevents+jsonx", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_env_007_the_content_type_decides_the_mode(content_type, expected):
    assert is_structured(content_type) is expected
