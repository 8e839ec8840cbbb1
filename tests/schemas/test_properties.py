"""Whatever constructs is carried: by structured JSON, by the schema, by the SDK, through a dead letter."""

import json
import string
from datetime import datetime, timezone

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from eventproof.schemas import attributes
from eventproof.schemas.deadletter import from_dead_letter, to_dead_letter
from eventproof.schemas.event import ABSENT, Event, InvalidEvent
from eventproof.schemas.structured import decode, encode
from eventproof.schemas.validation import validate_envelope

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
    lambda text: attributes.FORBIDDEN.sub("", text)
)
filled = texts.filter(bool)
urls = st.text(string.ascii_letters + string.digits + "/.-_~:@!$&'()*+,;=", min_size=1, max_size=20).map(
    "/x".__add__
)
names = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20).filter(
    lambda name: name not in attributes.CORE | attributes.KNOWN
)
moments = st.datetimes(timezones=st.timezones() | st.just(timezone.utc), min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1))  # noqa: DTZ001, E501  # fmt: skip
values = (
    st.booleans() | st.integers(-(2**31), 2**31 - 1) | texts | st.binary(max_size=9) | moments | st.none()
)
known = st.fixed_dictionaries(
    {},
    optional={
        "partitionkey": filled,
        "sequence": st.integers(0, 10**20 - 1).map("{:020d}".format),
        "correlationid": filled,
        "expirytime": moments,
        "dataref": urls,
        "tracestate": texts,
    },
)
extensions = st.builds(dict.__or__, st.dictionaries(names, values, max_size=3), known)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
json_types = st.sampled_from([None, "application/json", "Text/JSON", "a/b+json; c=d"])
contents = st.one_of(
    st.tuples(json_types, documents | st.binary(max_size=20) | st.just(ABSENT)),
    st.tuples(
        st.sampled_from(["text/plain", "application/xml"]),
        st.text(max_size=20) | st.binary() | st.just(ABSENT),
    ),
)

PATIENT = settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine proves nothing


@st.composite
def events(draw):
    content_type, data = draw(contents)
    return Event(
        source=draw(urls), type=draw(filled), id=draw(filled), time=draw(moments),
        data=data, datacontenttype=content_type, subject=draw(st.none() | filled),
        dataschema=draw(st.none() | urls.map("urn:".__add__)), extensions=draw(extensions),
    )  # fmt: skip


@PATIENT
@given(events())
def test_env_005_every_event_is_carried_by_structured_json(event):
    raw = encode(event)
    validate_envelope(json.loads(raw))
    again = decode(raw)
    assert again == event
    assert encode(again) == raw


@PATIENT
@given(events())
def test_the_sdks_json_format_carries_every_event_but_two_kinds(event):
    # It takes null for no data, and some JSON types for other ones (test_sdk.py).
    assume(event.data is not None and event.datacontenttype not in {"Text/JSON", "a/b+json; c=d"})
    assert Event.from_sdk(JSONFormat().read(CloudEvent, encode(event))) == event
    assert decode(JSONFormat().write(event)) == event


@PATIENT
@given(events(), st.text(max_size=30), st.sampled_from(attributes.REASONS), st.integers(0, 9), moments)
def test_every_event_comes_back_from_its_dead_letter(event, error, reason, attempts, now):
    letter = to_dead_letter(
        event, reason=reason, attempts=attempts, topic="t", group="g", error=error, now=now
    )
    validate_envelope(json.loads(encode(letter)))
    original, info = from_dead_letter(decode(encode(letter)))
    assert original == event
    assert encode(original) == encode(event)
    # In UTC, because Python never takes a repeated local hour for equal to a time of another zone.
    assert (info.reason, info.attempts, info.time) == (reason, attempts, now.astimezone(timezone.utc))


@PATIENT
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="replace")))
def test_no_bytes_raise_anything_but_invalid_event(raw):
    try:
        decode(raw)
    except InvalidEvent:
        pass
    else:
        raise AssertionError("random bytes made an event")


NAMES = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "data",
    "data_base64",
    "datacontenttype",
    "subject",
    "x",
    "X",
]
MEMBERS = ["1.0", "/a", "", None, 1, True, [], {}, "2026-07-01T12:00:00Z", "text/plain", "QQ==", "a b"]
HEAD = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "time": "2026-07-01T12:00:00Z"}


@PATIENT
@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(MEMBERS), max_size=4))
def test_schema_and_decoder_agree_on_random_documents(changes):
    document = HEAD | changes
    assert _takes(validate_envelope, document) == _takes(decode, json.dumps(document).encode())


@PATIENT
@given(
    st.recursive(
        st.integers(0, 1), lambda inner: st.lists(st.tuples(st.sampled_from('a":\\'), inner), max_size=3)
    )
)
def test_env_006_a_duplicate_member_is_found_wherever_it_is(tree):
    """Objects as lists of pairs, so that a key can come twice; the oracle compares the keys themselves."""

    def twice(node):
        keys = [key for key, _ in node] if isinstance(node, list) else []
        return len(keys) != len(set(keys)) or (
            isinstance(node, list) and any(twice(value) for _, value in node)
        )

    def text(node):
        if not isinstance(node, list):
            return '"x\\":y"' if node else "1"
        return "{" + ",".join(f"{json.dumps(key)} :{text(value)}" for key, value in node) + "}"

    raw = (json.dumps(HEAD)[:-1] + f',"data":{text(tree)}}}').encode()
    assert _takes(decode, raw) is not twice(tree)


def _takes(check, document):
    try:
        check(document)
    except InvalidEvent:
        return False
    return True
