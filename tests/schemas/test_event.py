"""The Event value: what it takes, what it refuses, and that it stays as it is."""

import copy
import pickle
import re
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest

from eventproof.schemas.event import ABSENT, Event, InvalidEvent

NOON = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)


def event(**changes):
    return Event(
        **{"source": "/orders", "type": "com.example.order.created.v1", "id": "1", "time": NOON, **changes}
    )


def test_the_defaults_are_a_new_uuid_the_present_in_utc_and_no_data():
    before = datetime.now(timezone.utc)
    made = Event(source="/orders", type="t")
    assert UUID(made.id).version == 4
    assert before <= made.time <= datetime.now(timezone.utc)
    assert made.time.tzinfo is timezone.utc
    assert made.data is ABSENT
    assert (made.key, made.subject, made.dataschema, made.datacontenttype) == (None, None, None, None)
    assert Event(source="/orders", type="t").id != made.id


@pytest.mark.parametrize(
    ("attribute", "value", "says"),
    [
        ("source", "", "empty"),
        ("source", "a b", "URI-reference"),
        ("source", "1a:b", "URI-reference"),
        ("source", "/%zz", "URI-reference"),
        ("source", "http://[::g]/", "URI-reference"),
        ("source", "http://[fe80::1%25eth0]/", "URI-reference"),
        ("source", None, "string"),
        ("source", 1, "string"),
        ("source", "/über", "URI-reference"),
        ("type", "", "empty"),
        ("type", b"t", "string"),
        ("id", "", "empty"),
        ("id", 7, "string"),
        ("id", "a\nb", "U+000A"),
        ("id", "a\x7f", "U+007F"),
        ("id", "a\x9f", "U+009F"),
        ("id", "a\ud800", "U+D800"),
        ("id", "a\ufdd0", "U+FDD0"),
        ("id", "a\uffff", "U+FFFF"),
        ("id", "a\U0001fffe", "U+1FFFE"),
        ("id", "a\U0010ffff", "U+10FFFF"),
        ("subject", "", "empty"),
        ("dataschema", "/relative", "absolute URI"),
        ("dataschema", "", "empty"),
        ("datacontenttype", "json", "media type"),
        ("datacontenttype", "application/", "media type"),
        ("datacontenttype", "text/plain; charset", "media type"),
        ("time", NOON.replace(tzinfo=None), "timezone-aware"),
        ("time", 0, "string"),
        ("time", "yesterday", "RFC 3339"),
        ("time", "2026-07-01T12:00:00", "RFC 3339"),
        ("time", "2026-07-01 12:00:00Z", "RFC 3339"),
        ("time", "2026-02-30T12:00:00Z", "cannot be represented"),
        ("time", "2026-06-30T23:59:60Z", "cannot be represented"),
        ("time", "0001-01-01T00:00:00+01:00", "calendar"),
        ("time", "2026-07-01T12:00:00.\u0661Z", "RFC 3339"),
    ],
)
def test_env_002_a_bad_attribute_is_refused_by_name(attribute, value, says):
    with pytest.raises(InvalidEvent, match=re.escape(says)) as refused:
        event(**{attribute: value, "id": value if attribute == "id" else "1"})
    assert refused.value.attribute == attribute
    assert str(refused.value).startswith(f"{attribute}: ")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("Upper", "v", "attribute name"),
        ("with_underscore", "v", "attribute name"),
        ("with-dash", "v", "attribute name"),
        ("", "v", "attribute name"),
        ("a" * 21, "v", "attribute name"),
        ("ends\n", "v", "attribute name"),
        (7, "v", "attribute name"),
        ("data", "v", "own argument"),
        ("specversion", "1.0", "own argument"),
        ("id", "v", "own argument"),
        ("float", 1.0, "convert it"),
        ("list", ["v"], "convert it"),
        ("big", 2**31, "32 bits"),
        ("small", -(2**31) - 1, "32 bits"),
        ("control", "\x00", "U+0000"),
        ("naive", NOON.replace(tzinfo=None), "timezone-aware"),
        ("partitionkey", "", "empty"),
        ("partitionkey", 5, "string"),
        ("sequence", "1", "20 decimal digits"),
        ("sequence", "\u0661" * 20, "20 decimal digits"),
        ("traceparent", "00-xyz", "traceparent"),
        ("correlationid", "", "empty"),
        ("expirytime", "soon", "RFC 3339"),
        ("dataref", "a b", "URI-reference"),
        ("dlreason", "bored", "one of"),
        ("dlattempts", "3", "integer"),
        ("dlattempts", True, "integer"),
        ("dlattempts", -1, "integer"),
        ("dlattempts", 2**31, "integer"),
        ("dlerror", "\u00e9" * 513, "1024 bytes"),
    ],
)
def test_env_002_a_bad_extension_is_refused_by_name(name, value, says):
    with pytest.raises(InvalidEvent, match=re.escape(says)) as refused:
        event(extensions={name: value})
    assert refused.value.attribute == (name if says != "attribute name" else repr(name))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (float("nan"), "nan"),
        ([float("-inf")], "inf"),
        ({1: 2}, "no str"),
        ({None: 2}, "no str"),
        ({"a": NOON}, "datetime"),
        ({"a": b"bytes"}, "bytes"),
        ({"a": {1, 2}}, "set"),
        (object(), "object"),
        ("\ud800", "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        (2**13_000, "bits"),
    ],
)
def test_data_that_json_cannot_carry_is_refused(data, says):
    with pytest.raises(InvalidEvent, match=says) as refused:
        event(data=data)
    assert refused.value.attribute == "data"


def test_nesting_is_bounded_even_where_it_has_no_end():
    def nested(levels):
        return [nested(levels - 1)] if levels else 0

    assert event(data=nested(128)).data == nested(128)
    endless = []
    endless.append(endless)
    for deep in (nested(129), endless):
        with pytest.raises(InvalidEvent, match="deeper than 128"):
            event(data=deep)


@pytest.mark.parametrize("data", [{"a": 1}, [1], 1, True, None])
def test_only_text_and_bytes_go_under_a_content_type_that_is_not_json(data):
    with pytest.raises(InvalidEvent, match="str or bytes under text/plain"):
        event(data=data, datacontenttype="text/plain")
    assert event(data="t", datacontenttype="text/plain").data == "t"
    assert event(data=b"\xff", datacontenttype="text/plain").data == b"\xff"


@pytest.mark.parametrize(
    "content_type", ["Application/JSON", "text/json", "a/b+json; charset=utf-8", "A/B+JSON"]
)
def test_json_content_types_are_known_in_any_case(content_type):
    assert event(data={"a": 1}, datacontenttype=content_type).data == {"a": 1}


def test_the_callers_values_are_neither_changed_nor_shared():
    extensions, data, raw = {"partitionkey": "k", "unset": None}, {"a": [1]}, bytearray(b"raw")
    made, bytes_made = event(extensions=extensions, data=data), event(data=raw)
    assert extensions == {"partitionkey": "k", "unset": None}
    extensions["partitionkey"] = "other"
    data["a"].append(2)
    raw[0] = 0
    assert made == event(extensions={"partitionkey": "k"}, data={"a": [1]})
    assert bytes_made.data == b"raw"


def test_an_event_does_not_change():
    made = event(extensions={"partitionkey": "k"})
    with pytest.raises(AttributeError, match="does not change"):
        made.id = "2"
    with pytest.raises(AttributeError, match="does not change"):
        del made.id
    with pytest.raises(AttributeError):
        made.new = 1
    with pytest.raises(TypeError):
        made.extensions["partitionkey"] = "other"


def test_extensions_keep_their_type_and_take_canonical_text_where_json_has_none():
    summer = datetime(2026, 7, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    made = event(extensions={"b": True, "i": 42, "s": "42", "raw": b"\xff\x00", "at": summer, "none": None})
    assert dict(made.extensions) == {
        "b": True, "i": 42, "s": "42", "raw": "/wA=", "at": "2026-07-01T12:00:00.000000Z",
    }  # fmt: skip
    assert [type(made.extensions[name]) for name in ("b", "i", "s")] == [bool, int, str]


def test_env_001_time_is_one_instant_in_utc():
    summer = NOON.astimezone(timezone(timedelta(hours=2)))
    assert event(time=summer) == event(time=NOON) == event(time="2026-07-01t14:00:00.123456+02:00")
    assert event(time=summer).timestamp == "2026-07-01T12:00:00.123456Z"
    assert event(time="2026-07-01T12:00:00Z").timestamp == "2026-07-01T12:00:00.000000Z"
    assert event(time="2026-07-01T12:00:00-00:00").time == datetime(2026, 7, 1, 12, tzinfo=timezone.utc)


def test_env_008_nanoseconds_are_kept_beside_the_datetime():
    made = event(time="2026-07-01T12:00:00.123456789Z")
    assert made.time == NOON
    assert made.timestamp == "2026-07-01T12:00:00.123456789Z"
    assert made != event(time=NOON)
    assert made.with_extensions(x=1).timestamp == made.timestamp
    assert event(time="2026-07-01T12:00:00.123456000Z") == event(time=NOON)


def test_env_005_absent_null_and_empty_are_different():
    values = [event(data=data) for data in (ABSENT, None, "", b"", {}, [], 0, False, 0.0, -0.0)]
    assert [one == other for one in values for other in values].count(True) == len(values)


def test_equality_is_by_json_type_and_by_every_attribute():
    assert event(data={"a": 1, "b": 2}) == event(data={"b": 2, "a": 1})
    assert event(data=(1, 2)) == event(data=[1, 2])
    assert event(data={"a": [True]}) != event(data={"a": [1]})
    assert event(data={"a": 1}) != event(data={"a": 1.0})
    assert event(extensions={"x": True}) != event(extensions={"x": 1})
    assert event(extensions={"x": 1, "y": 2}) == event(extensions={"y": 2, "x": 1})
    assert event() != "event"
    others = [
        event(source="/o"), event(type="t"), event(id="2"), event(time=NOON + timedelta(microseconds=1)),
        event(datacontenttype="application/json"), event(dataschema="urn:x"), event(subject="s"),
        event(extensions={"x": "v"}),
    ]  # fmt: skip
    assert event() not in others


def test_the_hash_is_that_of_the_identity():
    assert hash(event()) == hash(event(data=1, type="t"))
    assert len({event(), event(), event(id="2"), event(source="/2")}) == 3


def test_env_003_identity_is_unambiguous():
    assert event(source="/a%20b", id="c d").identity == "%2Fa%2520b c%20d"
    assert event(source="/a", id="é/1").identity == "%2Fa %C3%A9%2F1"
    assert event(source="a-._~Z9", id="-._~!*'()+").identity == "a-._~Z9 -._~%21%2A%27%28%29%2B"


def test_extensions_are_changed_by_new_values():
    made = event(extensions={"partitionkey": "k", "x": 1}, data={"a": 1})
    changed = made.with_extensions(x=None, y=b"\x00")
    assert dict(changed.extensions) == {"partitionkey": "k", "y": "AA=="}
    assert changed.key == "k"
    assert changed.without("y", "missing").with_extensions(x=1) == made
    assert dict(made.extensions) == {"partitionkey": "k", "x": 1}
    with pytest.raises(InvalidEvent):
        made.with_extensions(Upper=1)


@pytest.mark.parametrize("data", [ABSENT, None, {"a": 1}, b"\x00"])
def test_it_can_be_copied_pickled_and_read(data):
    made = event(data=data, extensions={"x": 1}, time="2026-07-01T12:00:00.123456789Z")
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == copy.copy(made) == made
    assert eval(repr(made), {"Event": Event}) == made  # the repr is the expression that makes it


def test_an_error_survives_pickling():
    assert str(pickle.loads(pickle.dumps(InvalidEvent("id", "is missing")))) == "id: is missing"
