"""A message as JetStream delivered it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from nats.aio.msg import Msg

_SHORT = 9  # tokens of a reply subject before servers knew domains


class Message(msgspec.Struct, gc=False):
    """One delivery of one stored message.

    sequence: in the stream. delivered: how often the server delivered it to the group, 1 up.
    stored: when, in ns since the epoch; with the sequence it is unique even if the stream is made anew.
    headers: as they were written; of two of one name the client library keeps the last.
    leased: `loop.time()` since which the server's lease runs at most; it may have begun a little later.
    server: id of the server process that sent it.
    """

    reply: str
    consumer: str
    partition: int
    sequence: int
    delivered: int
    stored: str
    data: bytes
    headers: Mapping[str, str]
    leased: float
    server: str


def parse(raw: Msg, arrived: float, server: str) -> Message:
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
        headers=raw.headers or {},
        leased=arrived,
        server=server,
    )
