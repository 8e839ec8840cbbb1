"""Generated, hostile events on a real broker: each comes back equal, or is refused with a reason."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import count

import pytest
from aiokafka import TopicPartition
from hypothesis import HealthCheck, given, settings

from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import connect, content, naming, provision
from eventproof.adapters.port import Receipt
from eventproof.schemas import binary
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import Event
from tests.adapters.hostile import events

WITHIN = 5.0


def obstacle(event, mode):
    """Why the event has to be refused, "" if it has to be carried."""
    if mode == "binary":
        try:
            binary.encode(event, binary.KAFKA)
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
        topic = f"events {self.mode}"
        await provision(url, topic, partitions=1)
        self._topic = topic
        self._broker = await self._open.enter_async_context(connect(url, mode=self.mode))
        self._consumer = self._broker._link.consumer(None, auto_offset_reset="earliest")
        await self._consumer.start()
        self._open.push_async_callback(self._consumer.stop)
        self._consumer.assign([TopicPartition(naming.topic("eventproof", topic), 0)])

    async def send(self, event):
        """Its position is the next one: of what was refused nothing was stored."""
        receipt = await self._broker.publish(self._topic, event)
        assert receipt == Receipt(str(self.stored), 0)
        self.stored += 1

    async def stored_event(self):
        record = await asyncio.wait_for(self._consumer.getone(), WITHIN)
        event = content.decode(record.headers, record.value)
        assert record.key == (None if event.key is None else event.key.encode())
        return event

    def close(self):
        self.run(self._open.aclose())
        self._loop.close()


@pytest.fixture(scope="module", params=["structured", "binary"])
def wire(request, kafka_server):
    wire = Wire(request.param)
    wire.run(wire.open(kafka_server.url))
    yield wire
    wire.close()
    assert wire.stored > 75


@settings(
    max_examples=160,
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
            assert await wire.stored_event() == event
            return
        with pytest.raises(Rejected) as refusal:
            await wire.send(event)
        assert refusal.value.kind == "invalid"
        assert len(refusal.value.detail) > 20

    wire.run(story())
