"""What every side is given: the same events, and the same way to count those that are settled."""

from __future__ import annotations

import asyncio
import time
from typing import Final
from uuid import uuid4

import msgspec

from eventproof.adapters.nats import naming
from eventproof.adapters.nats.options import Options
from eventproof.schemas import structured
from eventproof.schemas.event import Event

SIZE: Final = 256  # bytes of an encoded event
KEYS: Final = 1000
WARM_UP: Final = 0.1  # share of a consume case that runs before the clock starts
PREFIX: Final = Options().prefix


class Message(msgspec.Struct, frozen=True):
    """One event as our adapter writes it, ready to be sent."""

    event: Event
    subject: str
    body: bytes
    headers: dict[str, str]


class Meter:
    """Events per second between the end of the warm-up and the last settlement."""

    def __init__(self, events: int) -> None:
        self.done = asyncio.Event()
        self._first = round(events * WARM_UP)
        self._last = events
        self._settled = 0
        self._start = 0.0
        self._end = 0.0

    def settled(self) -> None:
        """One event is acknowledged, and the server confirmed that."""
        self._settled += 1
        if self._settled == self._first:
            self._start = time.perf_counter()
        if self._settled == self._last:
            self._end = time.perf_counter()
            self.done.set()

    @property
    def rate(self) -> float:
        return (self._last - self._first) / (self._end - self._start)


def messages(topic: str, count: int) -> list[Message]:
    """New events of SIZE bytes each; their keys go round, so that partitions fill evenly."""
    return [_message(topic, f"k{number % KEYS:03}") for number in range(count)]


def _message(topic: str, key: str) -> Message:
    event = _event(key, "")
    event = _event(key, "x" * (SIZE - len(structured.encode(event))))
    body = structured.encode(event)
    assert len(body) == SIZE, f"{len(body)} bytes"
    headers = {
        "Nats-Msg-Id": event.identity.replace(" ", "+"),
        "Content-Type": structured.CONTENT_TYPE,
    }
    return Message(event, naming.subject(PREFIX, topic, event), body, headers)


def _event(key: str, text: str) -> Event:
    return Event(
        source="/bench",
        type="org.eventproof.bench",
        id=str(uuid4()),
        data=text,
        extensions={"partitionkey": key},
    )
