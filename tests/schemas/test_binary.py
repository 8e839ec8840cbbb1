"""Binary mode: what is carried comes back, and what would not come back is refused."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventproof.schemas import structured
from eventproof.schemas.attributes import is_json
from eventproof.schemas.binary import KAFKA, NATS, decode, encode, read
from eventproof.schemas.deadletter import from_dead_letter, to_dead_letter
from eventproof.schemas.event import ABSENT, Event, InvalidEvent
from eventproof.schemas.validation import ENVELOPE, schema
from tests.schemas.test_properties import events, filled, texts

NOON = "2026-07-01T12:00:00.000000Z"
MAPPINGS = pytest.mark.parametrize("mapping", [NATS, KAFKA], ids=["nats", "kafka"])
both = st.sampled_from([NATS, KAFKA])
SAFE = re.compile("(?:[!#$&-~]|%[0-9A-F]{2})*")


def made(**changes):
    return Event(**{"source": "/a", "type": "t", "id": "1", "time": NOON, **changes})


def headers(mapping, **changes):
    given = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "time": NOON, **changes}
    return [(mapping.prefix + name, value) for name, value in given.items()]


def fits(event, mapping):
    """By the tables of the specification, not by the code."""
    typed = [n for n, v in event.extensions.items() if n != "dlattempts" and not isinstance(v, str)]
    json_type = is_json(event.datacontenttype)
    if event.data is ABSENT:
        return not typed and (json_type or mapping is KAFKA)
    return not typed and json_type is not isinstance(event.data, bytes) and (
        json_type or isinstance(event.data, bytes)
    )  # fmt: skip


def texts_only(event):
    return event.without(*(n for n, v in event.extensions.items() if not isinstance(v, str)))


@given(events(), both)
def test_env_005_an_event_comes_back_or_is_refused(event, mapping):
    if fits(event, mapping):
        assert decode(*encode(event, mapping), mapping) == event
        return
    with pytest.raises(InvalidEvent, match="structured mode") as refused:
        encode(event, mapping)
    assert refused.value.attribute in {"data", *event.extensions}


@given(events().map(texts_only), both)
def test_env_005_with_texts_alone_only_the_data_can_be_refused(event, mapping):
    try:
        written = encode(event, mapping)
    except InvalidEvent as refused:
        assert refused.attribute == "data"  # noqa: PT017
    else:
        assert read(*written, mapping) == event


@given(filled, texts)
def test_env_002_nats_headers_are_plain_ascii(one, other):
    event = made(id=one, extensions={"x": other})
    written, body = encode(event, NATS)
    assert all(SAFE.fullmatch(value) for _, value in written)
    assert decode(written, body, NATS) == event


@given(events().map(texts_only), both, st.integers(0, 9))
def test_a_dead_letter_comes_back_with_the_number_of_its_attempts(event, mapping, attempts):
    if fits(event, mapping):
        letter = to_dead_letter(
            event, reason="attempts", attempts=attempts, topic="t", group="g", error="no\nway", now=event.time
        )
        again = decode(*encode(letter, mapping), mapping)
        assert again == letter
        assert from_dead_letter(again)[0] == event


PARTS = [
    "id",
    "ID",
    "source",
    "type",
    "time",
    "specversion",
    "datacontenttype",
    "data",
    "x",
    "é",
    "",
    "dlattempts",
]
NAMES = [*(prefix + part for prefix in ("ce-", "ce_", "CE-") for part in PARTS), "content-type", "Other"]
VALUES = [
    "1",
    "1.0",
    "",
    "a b",
    "%",
    "%C0%A0",
    "%41",
    "é",
    "\n",
    NOON,
    "text/plain",
    "application/json",
    "/a",
]
BODIES = [b"", b"1", b"{}", b"[", b"\xff", b'"\\ud800"', b"1e999", b"\xef\xbb\xbf1", None]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=5)), max_size=4),
    st.sampled_from(BODIES) | st.binary(max_size=9),
    both,
    st.booleans(),
)
def test_any_message_makes_an_event_that_is_carried_or_is_refused(more, body, mapping, whole):
    """`whole`: with the required attributes, so that more of them are events."""
    try:
        event = decode([*(headers(mapping) if whole else []), *more], body, mapping)
    except InvalidEvent:
        return
    assert decode(*encode(event, mapping), mapping) == event


@given(st.binary(max_size=20) | st.text(max_size=20).map(str.encode), both)
def test_env_005_bytes_are_as_they_are(body, mapping):
    event = made(data=body, datacontenttype="image/png")
    assert encode(event, mapping)[1] == body
    assert decode(*encode(event, mapping), mapping).data == body


@MAPPINGS
def test_the_order_of_headers_is_fixed(mapping):
    event = made(
        data=1, subject="s", dataschema="urn:x", datacontenttype="text/json", extensions={"z": "1", "b": "2"}
    )
    names = [name.removeprefix(mapping.prefix) for name, _ in encode(event, mapping)[0]]
    content_type = "datacontenttype" if mapping is NATS else "content-type"
    first = ["specversion", "id", "source", "type", "time"]
    assert names == [*first, content_type, "dataschema", "subject", "z", "b"]


@MAPPINGS
@pytest.mark.parametrize("value", [True, False, 0, 42, -1])
def test_env_005_a_value_that_a_header_would_make_a_text_is_refused(mapping, value):
    with pytest.raises(InvalidEvent, match="use structured mode") as refused:
        encode(made(extensions={"x": value}), mapping)
    assert refused.value.attribute == "x"
    assert dict(decode(*encode(made(extensions={"x": str(value)}), mapping), mapping).extensions) == {
        "x": str(value)
    }


def test_only_dlattempts_has_a_type_by_the_profile():
    """The schema is what says so; another typed attribute there needs its reading here."""
    typed = {
        name
        for name, one in schema(ENVELOPE)["properties"].items()
        for form in one.get("anyOf", [])
        if form.get("type") in {"integer", "boolean"}
    }
    assert typed == {"dlattempts"}


@MAPPINGS
@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "01", "1.0", " 1", "1\n", "٣", "true", "2147483648", "9" * 5000]
)
def test_what_is_no_count_of_attempts_is_refused(mapping, text):
    with pytest.raises(InvalidEvent) as refused:
        decode(headers(mapping, dlattempts=text), b"1", mapping)
    assert refused.value.attribute == "dlattempts"


@MAPPINGS
def test_env_007_the_content_type_alone_decides(mapping):
    raw = structured.encode(made(id="structured"))
    attributes = headers(mapping)
    mark = ("Content-Type", "Application/CloudEvents+json; charset=utf-8")
    assert read([*attributes, mark], raw, mapping).id == "structured"
    assert read(iter(attributes), raw, mapping).id == "1"
    assert read([*attributes, ("Content-Type", "text/cloudevents+json")], raw, mapping).id == "1"
    with pytest.raises(InvalidEvent, match="datacontenttype"):
        decode([*attributes, mark], raw, mapping)
    with pytest.raises(InvalidEvent, match="JSON"):
        read([mark], None, mapping)


@MAPPINGS
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"[" * 200 + b"]" * 200, b"9" * 5000, b"1e999", b"-Infinity"]
)
def test_env_006_json_beyond_bounds_is_refused(mapping, body):
    with pytest.raises(InvalidEvent) as refused:
        decode(headers(mapping), body, mapping)
    assert refused.value.attribute == "data"


@MAPPINGS
def test_a_header_that_is_an_attribute_in_another_alphabet_is_refused(mapping):
    with pytest.raises(InvalidEvent):
        decode([*headers(mapping), (f"{mapping.prefix}\u212aey", "1")], b"1", mapping)


def test_a_nats_message_without_a_payload_is_an_empty_one():
    assert decode(headers(NATS), None, NATS).data is ABSENT
    assert decode(headers(NATS), b"", NATS).data is ABSENT
    assert decode(headers(NATS, datacontenttype="text/plain"), None, NATS).data == b""


def test_a_kafka_record_without_a_value_has_no_data():
    assert encode(made(), KAFKA)[1] is None
    assert decode([*headers(KAFKA), ("content-type", "text/plain")], None, KAFKA).data is ABSENT
    assert decode([*headers(KAFKA), ("content-type", "text/plain")], b"", KAFKA).data == b""


def test_a_mapping_does_not_change():
    with pytest.raises(AttributeError):
        NATS.prefix = "x-"
