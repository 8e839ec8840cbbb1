"""Generated, hostile events on a real server: each comes back equal, or is refused with a reason."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta, timezone
from itertools import count
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import connect, naming, provision
from eventproof.adapters.nats.publish import MAX_ID
from eventproof.adapters.port import Receipt
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.schemas import binary, structured
from eventproof.schemas.attributes import CORE, FORBIDDEN, INTEGERS, KNOWN
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import ABSENT, Event
from eventproof.schemas.payload import MAX_DEPTH, MAX_INTEGER_BITS
from eventproof.schemas.uri import is_reference

LARGEST = 256 * 1024
MAX_PAYLOAD = 512 * 1024
WITHIN = 5.0

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


def obstacle(event, mode):
    """Why the event may be refused, "" if it has to be carried."""
    if len(event.identity) > MAX_ID:
        return "identity"
    if len(".".join(map(naming.token, event.type.split(".")))) > naming.MAX_TYPE:
        return "type"
    if mode == "binary":
        try:
            binary.encode(event, binary.NATS)
        except InvalidEvent as refusal:
            return refusal.attribute
    return ""


class Wire:
    """One topic, who publishes to it and who reads it, for all examples."""

    def __init__(self, mode):
        self.mode = mode
        self.numbers = count()
        self.stored = 0
        self._loop = asyncio.new_event_loop()
        self._open = AsyncExitStack()

    def run(self, work):
        return self._loop.run_until_complete(work)

    async def open(self, url):
        await provision(url, self.mode, partitions=1)
        self._broker = await self._open.enter_async_context(connect(url, mode=self.mode))
        self._session = await self._open.enter_async_context(self._broker.subscribe(self.mode, group="g"))

    async def send(self, event):
        """Its position is the next one: of what was refused nothing was stored."""
        receipt = await self._broker.publish(self.mode, event)
        self.stored += 1
        assert receipt == Receipt(str(self.stored), None, duplicate=False)

    async def delivered(self):
        delivery = await asyncio.wait_for(self._session.__anext__(), WITHIN)
        await delivery.ack()
        return delivery.event

    def close(self):
        self.run(self._open.aclose())
        self._loop.close()


@pytest.fixture(scope="module")
def server():
    server = NatsServer(max_payload=MAX_PAYLOAD)
    asyncio.run(server.start())
    yield server
    asyncio.run(server.remove())


@pytest.fixture(scope="module", params=["structured", "binary"])
def wire(request, server):
    wire = Wire(request.param)
    wire.run(wire.open(server.url))
    yield wire
    wire.close()
    assert wire.stored > 75


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(given=events())
def test_env_005_an_event_comes_back_equal_or_is_refused_with_a_reason(wire, given):
    event = Event(**given | {"id": f"{given['id']}{next(wire.numbers)}"})
    why = obstacle(event, wire.mode)

    async def story():
        if not why:
            await wire.send(event)
            assert await wire.delivered() == event
            return
        with pytest.raises(Rejected) as refusal:
            await wire.send(event)
        assert refusal.value.kind == "invalid"
        assert len(refusal.value.detail) > 20

    wire.run(story())


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize("attribute", ["subject", "note"])
def test_attributes_beyond_the_servers_64_kib_of_headers_are_refused_in_binary_mode(server, mode, attribute):
    async def story():
        topic = f"large {mode} {attribute}"
        large = (
            {"subject": "x" * 70_000} if attribute == "subject" else {"extensions": {"note": "é" * 12_000}}
        )
        event = Event(source="/s", type="t", id="1", data=1, **large)
        await provision(server.url, topic, partitions=1)
        async with connect(server.url, mode=mode) as broker, broker.subscribe(topic, group="g") as session:
            if mode == "structured":
                await broker.publish(topic, event)
            else:
                with pytest.raises(Rejected, match="too-large"):
                    await broker.publish(topic, event)
                await broker.publish(topic, event := Event(source="/s", type="t", id="1"))
            delivery = await asyncio.wait_for(session.__anext__(), WITHIN)
            assert delivery.event == event

    asyncio.run(story())


def test_what_is_generated_is_hostile_and_within_the_limit():
    assert structured.decode(structured.encode(Event(source="/", type="t", data=nested(MAX_DEPTH))))
    with pytest.raises(InvalidEvent, match="nests deeper"):
        Event(source="/", type="t", data=nested(MAX_DEPTH + 1))
