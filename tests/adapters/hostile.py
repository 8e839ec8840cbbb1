"""Generated, hostile events, for the adapters of real brokers."""

from __future__ import annotations

from datetime import timedelta, timezone
from urllib.parse import quote

from hypothesis import strategies as st

from eventproof.schemas.attributes import CORE, FORBIDDEN, INTEGERS, KNOWN
from eventproof.schemas.event import ABSENT
from eventproof.schemas.payload import MAX_DEPTH, MAX_INTEGER_BITS
from eventproof.schemas.uri import is_reference

LARGEST = 256 * 1024

NASTY = [
    *"\"%\\ .*>~=$:;,@/'<{}|`^",
    "%00", "%20", "%zz", "a b", " a", "a ", "a..b", ".a.", "$JS.API.>", "_INBOX.x", "ce-id", "a: b", "=20",
    "\u00e9", "e\u0301", "\u00a0", "\u2028", "\u200b", "\u202e", "\ufeff", "\ufffd",
    "\U0001f469\u200d\U0001f4bb", "null", "true", "42", "1.0",
    "x" * 1490, "\u20ac" * 400, "\\" * 900, '"' * 900, "a." * 700 + "b",
]  # fmt: skip
legal = st.characters().filter(lambda character: not FORBIDDEN.search(character))
text = st.sampled_from(NASTY) | st.text(legal, min_size=1, max_size=40)
references = st.sampled_from(
    ["/", "?", "#", "//h", "urn:x:y", "a%2Fb", "%C3%A9", "http://[::1]:1/%20?a#b"]
) | text.map(lambda raw: quote(raw, safe="/!$&'()*+,;=~")).filter(is_reference)
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(lambda name: name not in KNOWN | CORE)
edges = [INTEGERS.start, -1, 0, INTEGERS.stop - 1]
times = (
    st.datetimes(timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=14))])).filter(
        lambda moment: 2 <= moment.year <= 9998
    )
    | st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01t00:00:00.123456789-12:30", "0001-01-01T00:00:00Z"])
)  # fmt: skip
json_types = [None, "application/json", "Application/JSON; a=b", "image/svg+json", 'text/json; q="a \\" b"']
other_types = [
    "text/plain",
    "image/png",
    "application/cloudevents",
    "application/cloudevents+xml",
    "a/b; c=d",
]

numbers = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**53 + 1, -(2**63) - 1, 2**64, 2**MAX_INTEGER_BITS - 1, -0.0, 5e-324, 1e308, 1.0])
)
anything = st.characters(exclude_categories=["Cs"])  # control characters and noncharacters are fine in data
leaves = st.none() | st.booleans() | numbers | st.sampled_from(NASTY) | st.text(anything, max_size=20)
sizes = st.sampled_from([0, 1, 4095, 4096, 65535, 65536, LARGEST]) | st.integers(0, LARGEST)


def nested(depth):
    """An array or object within itself, as deep as it may be."""
    value = []
    for level in range(depth - 1):
        value = [value] if level % 2 else {"": value}
    return value


documents = (
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(anything, max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    )
    | st.integers(1, MAX_DEPTH).map(nested)
    | sizes.map(lambda size: "é" * (size // 2))
)
raw = st.binary(max_size=64) | sizes.map(lambda size: (bytes(range(256)) * (size // 256 + 1))[:size])


@st.composite
def events(draw):
    """What makes an event, but for a number that its id ends in; half of them fit binary mode."""
    fits = draw(st.booleans())
    content_type = draw(st.sampled_from(json_types + (["text/plain", "image/png"] if fits else other_types)))
    if content_type in json_types:
        carried = st.just(ABSENT) | documents if fits else st.just(ABSENT) | documents | raw
    else:
        carried = raw if fits else st.just(ABSENT) | raw | st.text(anything, max_size=30)
    values = text | st.just("") if fits else text | st.booleans() | st.sampled_from(edges)
    known = {"partitionkey": text, "tracestate": text, "correlationid": text}
    return {
        "source": draw(references),
        "type": draw(text),
        "id": draw(text),
        "time": draw(times),
        "subject": draw(st.none() | text),
        "dataschema": draw(st.none() | st.sampled_from(["https://h/s?v=1#x", "urn:s", "a+b-c.d:%20"])),
        "datacontenttype": content_type,
        "data": draw(carried),
        "extensions": draw(st.dictionaries(names, values, max_size=3))
        | draw(st.fixed_dictionaries({}, optional=known)),
    }
