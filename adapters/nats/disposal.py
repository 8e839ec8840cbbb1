"""What becomes of messages that are not handed out.

Each act returns once the server confirmed it, and raises an EventproofError otherwise: then the message
comes back when its lease ends.
"""

from __future__ import annotations

import logging
from typing import Final

from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import api, lease, returns
from eventproof.adapters.nats.deadletter import bury, bury_raw
from eventproof.adapters.nats.group import Group
from eventproof.adapters.nats.link import Link
from eventproof.adapters.nats.message import Message
from eventproof.adapters.nats.settle import Prefetched
from eventproof.schemas.deadletter import Reason
from eventproof.schemas.event import Event

log = logging.getLogger("eventproof.adapters.nats")
DONE: Final = b"+ACK"
NOW: Final = b"-NAK"


async def give_up(
    link: Link, group: Group, message: Message, event: Event, *, reason: Reason, attempts: int
) -> None:
    """The event is used up or expired: dead-letter it, or drop it where the policy has no dead letter."""
    if group.policy.dead_letter is None:
        await lease.send(link, message, DONE)
    else:
        await bury(link, group, message, event, reason=reason, attempts=attempts)


async def set_aside(link: Link, group: Group, message: Message, problem: str) -> bool:
    """The message is no event: dead-letter its bytes. False if that cannot be, for want of a dead letter or
    of room in it; the lane then stops here, so that the message is neither lost nor delivered for ever."""
    obstacle = f"group {group.name} has no dead letter"
    if group.policy.dead_letter is not None:
        try:
            await bury_raw(link, group, message, problem)
        except Rejected as refusal:
            if refusal.kind != "too-large":
                raise
            obstacle = f"it does not fit into a dead letter, {refusal.detail}"
        else:
            return True
    log.error(
        "message %d of topic %s is no event (%s); %s: group %s stops at partition %d",
        message.sequence,
        group.topic.name,
        problem,
        obstacle,
        group.name,
        message.partition,
    )
    return False


async def give_back(link: Link, group: Group, prefetched: Prefetched) -> None:
    """Let another member have a message that was not handed out, without counting an attempt.

    Late in the server's lease nothing is sent: a nak that comes after it would hit the next attempt.
    """
    await forget(link, group, prefetched.message, prefetched.attempt)
    if not lease.over(link, group, prefetched.message):
        await hand_back(link, prefetched.message)


async def hand_back(link: Link, message: Message) -> None:
    """Let another member have the message now."""
    await lease.send(link, message, NOW)


async def forget(link: Link, group: Group, message: Message, attempt: int) -> None:
    """The lease ran out before the message was handed out as that attempt: it is none."""
    await returns.write(link, group, message, message.delivered - attempt + 1)


async def waiting(link: Link, group: Group, message: Message) -> int:
    """How many pulls of the partition wait at the server, those of this member included."""
    return (await api.consumer_info(link, group.topic.stream, message.consumer)).num_waiting
