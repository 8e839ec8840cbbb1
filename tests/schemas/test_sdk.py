"""Events and the CloudEvents SDK: ours go in as they are, and its defects stay outside."""

import inspect
import json
from datetime import datetime, timezone

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http, from_structured, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v03.event import CloudEvent as OldCloudEvent
from cloudevents.core.v1.event import CloudEvent

from eventproof.schemas import binary, structured
from eventproof.schemas.event import ABSENT, Event, InvalidEvent

NOON = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
FULL = Event(
    source="/orders", type="t", id="1", time=NOON, subject="s", dataschema="urn:x", data={"a": [1, None]},
    datacontenttype="application/json",
    extensions={"partitionkey": "k", "flag": True, "number": 42, "text": "42"},
)  # fmt: skip

TYPES = {dict: "application/json", str: "text/plain", bytes: "application/octet-stream"}


def sdk(data=None, **attributes):
    return CloudEvent({"source": "/orders", "type": "t", "id": "1", "time": NOON, **attributes}, data)


def test_an_event_answers_the_sdks_protocol():
    taken: BaseCloudEvent = FULL
    named = {
        name: getattr(FULL, f"get_{name}")() for name in FULL.get_attributes() if hasattr(FULL, f"get_{name}")
    }
    assert named | dict(FULL.extensions) == taken.get_attributes()
    assert taken.get_extension("number") == 42
    assert taken.get_extension("missing") is None
    assert taken.get_data() == {"a": [1, None]}
    assert {name for name in dir(BaseCloudEvent) if name.startswith("get_")} <= set(dir(Event))


@pytest.mark.parametrize("data", [{"a": [1, None]}, [1], "text", b"\x00\xff", ABSENT])
def test_the_sdks_json_format_writes_what_ours_reads_and_the_other_way_round(data):
    event = Event(
        source="/orders", type="t", id="1", time=NOON, data=data, extensions={"flag": True, "text": "42"}
    )
    assert structured.decode(JSONFormat().write(event)) == event
    assert Event.from_sdk(JSONFormat().read(CloudEvent, structured.encode(event))) == event


def test_the_sdks_http_binding_takes_an_event():
    message = to_structured(FULL, JSONFormat())
    assert structured.is_structured(message.headers["content-type"])
    assert Event.from_sdk(from_structured(message, JSONFormat())) == FULL
    binary = to_binary(FULL, JSONFormat())
    assert (binary.headers["ce-id"], binary.headers["ce-partitionkey"]) == ("1", "k")
    assert json.loads(binary.body) == FULL.data


@pytest.mark.parametrize("method", [name for name in vars(BaseCloudEvent) if name.startswith("get_")])
def test_each_method_of_the_sdks_protocol_is_called_alike(method):
    asked, ours = (inspect.signature(getattr(kind, method)) for kind in (BaseCloudEvent, Event))
    assert list(ours.parameters) == list(asked.parameters)


@pytest.mark.parametrize("data", [{"a": [1, None]}, "text", b"\x00\xff", None])
def test_an_sdk_event_survives_both_formats_in_either_order(data):
    typed = {} if data is None else {"datacontenttype": TYPES[type(data)]}
    given = sdk(data, subject="ü %", partitionkey="k", flag=True, **typed)
    ours = structured.decode(JSONFormat().write(given))
    assert ours == Event.from_sdk(given)
    again = JSONFormat().read(CloudEvent, structured.encode(ours))
    assert again.get_data() == given.get_data()
    assert again.get_attributes() == given.get_attributes()


def test_the_sdks_json_format_takes_null_for_no_data():
    event = Event(source="/orders", type="t", id="1", time=NOON, data=None)
    assert Event.from_sdk(JSONFormat().read(CloudEvent, structured.encode(event))).data is ABSENT
    assert structured.decode(structured.encode(event)) == event


@pytest.mark.parametrize("written", ["Text/JSON", "model/gltf+json"])
def test_the_sdks_json_format_does_not_know_every_json_type(written):
    event = Event(source="/orders", type="t", id="1", time=NOON, data=["x"], datacontenttype=written)
    assert structured.decode(JSONFormat().write(event)).data == "['x']"
    assert structured.decode(structured.encode(event)) == event


def test_the_sdks_http_binding_reads_what_ours_writes_in_structured_mode():
    message = HTTPMessage({"Content-Type": structured.CONTENT_TYPE}, structured.encode(FULL))
    assert Event.from_sdk(from_http(message, JSONFormat())) == FULL


@pytest.mark.parametrize("data", [{"a": [1, None]}, "text", b"\x00\xff"])
def test_the_sdks_http_binding_gives_a_binary_event_of_texts_back(data):
    event = Event(
        source="/orders", type="t", id='ü %"1', time=NOON, subject="%C3%BC", dataschema="urn:x", data=data,
        datacontenttype=TYPES[type(data)], extensions={"partitionkey": "ключ", "text": "42"},
    )  # fmt: skip
    assert Event.from_sdk(from_http(to_binary(event, JSONFormat()), JSONFormat())) == event


def test_our_headers_in_percent_encoding_are_those_of_the_http_binding():
    event = Event(
        source="/orders", type="t", id='ü %"~1', time=NOON, subject="a b", datacontenttype="text/plain",
        data=b"x", extensions={"partitionkey": "ключ", "text": "42", "emoji": "\N{PARTY POPPER}"},
    )  # fmt: skip
    headers, body = binary.encode(event, binary.NATS)
    theirs = to_binary(event, JSONFormat())
    assert dict(headers) | {"content-type": "text/plain"} == theirs.headers | {
        "ce-datacontenttype": "text/plain"
    }
    assert body == theirs.body


def test_an_sdk_event_becomes_ours_with_canonical_extensions():
    event = Event.from_sdk(sdk(data={"a": 1}, subject="s", raw=b"\x00", at=NOON, none=None))
    assert dict(event.extensions) == {"raw": "AA==", "at": "2026-07-01T12:00:00.123456Z"}
    assert (event.subject, event.data, event.time) == ("s", {"a": 1}, NOON)
    assert Event.from_sdk(sdk()).data is ABSENT


def test_an_sdk_event_of_another_version_or_without_time_is_refused():
    old = OldCloudEvent({"source": "/o", "type": "t", "id": "1", "specversion": "0.3", "time": NOON})
    with pytest.raises(InvalidEvent, match="specversion"):
        Event.from_sdk(old)
    timeless = sdk()
    del timeless.get_attributes()["time"]
    with pytest.raises(InvalidEvent, match="time: is missing"):
        Event.from_sdk(timeless)


@pytest.mark.parametrize(
    "attributes", [{"source": "a b"}, {"listed": ["a"]}, {"id": "a\nb"}, {"extension" * 3: "x"}]
)
def test_what_the_sdk_lets_pass_is_refused(attributes):
    with pytest.raises(InvalidEvent):
        Event.from_sdk(sdk(**attributes))


def test_two_events_from_one_dict_have_ids_of_their_own():
    arguments = {"source": "/orders", "type": "t", "extensions": {"partitionkey": "k"}}
    assert Event(**arguments).id != Event(**arguments).id
    assert arguments == {"source": "/orders", "type": "t", "extensions": {"partitionkey": "k"}}


def test_an_sdk_event_is_not_changed_by_the_conversion():
    given = sdk(partitionkey="k")
    before = dict(given.get_attributes())
    Event.from_sdk(given)
    assert given.get_attributes() == before


def test_env_005_types_survive_where_the_sdk_makes_python_text_of_them():
    document = json.loads(structured.encode(FULL))
    assert (document["flag"], document["number"], document["text"]) == (True, 42, "42")
    again = structured.decode(structured.encode(FULL))
    assert [type(again.extensions[name]) for name in ("flag", "number", "text")] == [bool, int, str]


def test_a_percent_escape_in_an_attribute_is_left_as_it_is():
    event = Event(source="/%C0%A0", type="t", id="%C0%A0")
    assert structured.decode(structured.encode(event)) == event
