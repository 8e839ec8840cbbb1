"""A message as the server delivered it, and the event in it."""

from __future__ import annotations

import msgspec
from nats.aio.msg import Msg

from eventproof.schemas import structured
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import Event

_SHORT = 9  # tokens of a reply subject before servers knew domains


class Message(msgspec.Struct, gc=False):
    """One delivery of one stored message.

    sequence: in the stream. delivered: how often the server delivered it to the group, 1 up.
    stored: when, in ns since the epoch; with the sequence it is unique even if the stream is made anew.
    leased: `loop.time()` since which the server's lease surely runs; it may have begun a little earlier.
    """

    reply: str
    consumer: str
    partition: int
    sequence: int
    delivered: int
    stored: str
    data: bytes
    content_type: str
    leased: float


def parse(raw: Msg, arrived: float) -> Message:
    """Read what the server put into the reply subject:
    `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<sequence>.<n>.<stored>.<pending>`."""
    tokens = raw.reply.split(".")
    start = 2 if len(tokens) == _SHORT else 4
    _, consumer, delivered, sequence, _, stored = tokens[start : start + 6]
    return Message(
        reply=raw.reply,
        consumer=consumer,
        partition=int(consumer.rpartition("~")[2]),
        sequence=int(sequence),
        delivered=int(delivered),
        stored=stored,
        data=raw.data,
        content_type=content_type(raw),
        leased=arrived,
    )


def content_type(raw: Msg) -> str:
    """Header names have no case, but the client keeps the case they came in."""
    headers = raw.headers or {}
    found = headers.get("Content-Type")
    if found is None:
        found = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return found


def decode(content_type: str, data: bytes) -> Event:
    """The event of a message. Raises InvalidEvent."""
    if not structured.is_structured(content_type):
        raise InvalidEvent(
            "datacontenttype", f"the message's content type is {content_type or 'not given'!r}"
        )
    return structured.decode(data)
