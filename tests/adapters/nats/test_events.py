"""Generated, hostile events on a real server: each comes back equal, or is refused with a reason."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings

from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import connect, naming, provision
from eventproof.adapters.nats.publish import MAX_ID
from eventproof.adapters.port import Receipt
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.schemas import binary, structured
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import Event
from eventproof.schemas.payload import MAX_DEPTH
from tests.adapters.hostile import events, nested

MAX_PAYLOAD = 512 * 1024
WITHIN = 5.0


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
