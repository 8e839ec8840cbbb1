"""The dead letter: written and confirmed first, only then the message is ended.

A crash in between leaves both; writing it again is recognised by a message id made of the message's place,
as long as the dead-letter topic's deduplication window lasts.
"""

from __future__ import annotations

from eventproof.adapters.clock import now
from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import content, lease, naming
from eventproof.adapters.nats.group import Group
from eventproof.adapters.nats.link import Link, translated
from eventproof.adapters.nats.message import Message
from eventproof.adapters.nats.publish import MESSAGE_ID, store
from eventproof.schemas.deadletter import Reason, to_dead_letter, undecodable
from eventproof.schemas.event import Event


async def bury(
    link: Link,
    group: Group,
    message: Message,
    event: Event,
    *,
    reason: Reason,
    attempts: int,
    error: str = "",
) -> None:
    """Move an event to the policy's dead-letter topic. attempts: hand-outs to the group.

    Raises as `publish` does; the message is then still the group's.
    """
    dead = to_dead_letter(
        event,
        reason=reason,
        attempts=attempts,
        topic=group.topic.name,
        group=group.name,
        error=error,
        now=now(),
    )
    await _move(link, group, message, dead)


async def bury_raw(link: Link, group: Group, message: Message, error: str) -> None:
    """Move a message that is no event to the dead-letter topic, with its bytes. Raises as `bury` does."""
    dead = undecodable(
        message.data,
        topic=group.topic.name,
        group=group.name,
        position=str(message.sequence),
        error=error,
        now=now(),
    )
    await _move(link, group, message, dead)


async def _move(link: Link, group: Group, message: Message, dead: Event) -> None:
    topic = group.policy.dead_letter
    if topic is None:
        raise Rejected("no-dead-letter", f"the policy of group {group.name} names no dead-letter topic")
    lease.check(link, message)
    message_id = f"dlq:{group.topic.stream}:{message.consumer}:{message.sequence}:{message.stored}"
    with translated("renewing the lease"):
        # The copy must be confirmed before the server hands the message to another member.
        await link.client.publish(message.reply, b"+WPI")
    await store(
        link,
        topic,
        naming.subject(link.prefix, topic, dead),
        content.of_dead_letter(dead, link.client.max_payload - content.line(MESSAGE_ID, message_id)),
        message_id,
        timeout=min(link.deadline, group.ack_wait / 2),
    )
    await lease.send(link, message, b"+TERM")
