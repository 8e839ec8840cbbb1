"""The server's lease of a message, and what is sent under it.

The server takes a settlement from whoever sends it, and knows the message by its place in the stream: one for
what an earlier process sent hits the present attempt. So a message is worth something to the process that
sent it and to no other; and nothing is left with the client library, which keeps it for the next connection.
"""

from __future__ import annotations

import asyncio
import math

from eventproof.adapters.nats.group import Group
from eventproof.adapters.nats.link import ConnectionLost, Link
from eventproof.adapters.nats.message import Message


def gone(link: Link, message: Message) -> bool:
    """Whether another server process took the place of the one that sent the message."""
    return message.server != link.server


def age(link: Link, message: Message) -> float:
    """Seconds of the lease that are past; inf if the server process that gave it is gone."""
    return math.inf if gone(link, message) else asyncio.get_running_loop().time() - message.leased


def over(link: Link, group: Group, message: Message) -> bool:
    """Whether the lease may be over, or soon is."""
    return age(link, message) > group.ack_wait - group.grace / 2


def current(link: Link, message: Message) -> bool:
    """Whether what is sent now goes to the server process that sent the message."""
    return link.connected and not gone(link, message)


def check(link: Link, message: Message) -> None:
    """Raises ConnectionLost unless the message is `current`."""
    if not current(link, message):
        raise ConnectionLost(f"message {message.sequence} of {message.consumer}: its server is not there")


async def send(link: Link, message: Message, verb: bytes) -> None:
    """Tell the server process that sent the message what becomes of it; returns once that is confirmed. Sends
    nothing if that process is not there. Raises as `Link.request` does."""
    check(link, message)
    await link.request(message.reply, verb)
