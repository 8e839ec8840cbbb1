"""Deliveries that the server counted and nobody was handed: what a session had fetched ahead and returned.

The server's count of deliveries would take them for attempts, and dead-letter an event too early. So who
returns such a message first writes so into the metadata of the partition's consumer, which has one
message in flight and needs to remember one number. Written but not returned (a crash) is right as well:
that delivery reached nobody either.
"""

from __future__ import annotations

from typing import Final

from eventproof.adapters.nats import api, lease
from eventproof.adapters.nats.group import POLICY, Group
from eventproof.adapters.nats.link import Link
from eventproof.adapters.nats.message import Message

RETURNED: Final = "eventproof.returned"  # "<sequence>:<times>" in the consumer's metadata


async def write(link: Link, group: Group, message: Message, times: int) -> None:
    """Note that the message's last `times` deliveries, in all, were no hand-outs; of a message that was
    settled meanwhile, or that another server process sent, nothing is noted: the note may be a later one's.
    The rest of the consumer stays as whoever created it wanted it, also how long the group lives without
    members."""
    config = group.config(link, message.partition)
    found = await api.consumer_info(link, group.topic.stream, message.consumer)
    if found.ack_floor.stream_seq >= message.sequence or not lease.current(link, message):
        return
    config["inactive_threshold"] = found.config.inactive_threshold
    config["metadata"] = {POLICY: config["metadata"][POLICY], RETURNED: f"{message.sequence}:{times}"}
    body = {"stream_name": group.topic.stream, "config": config, "action": "update"}
    await api.call(link, f"CONSUMER.CREATE.{group.topic.stream}.{message.consumer}", api.ConsumerInfo, body)


async def read(link: Link, group: Group, message: Message) -> int:
    """How many deliveries of the message were no hand-outs."""
    info = await api.consumer_info(link, group.topic.stream, message.consumer)
    sequence, _, times = info.config.metadata.get(RETURNED, "0:0").partition(":")
    return int(times) if int(sequence) == message.sequence else 0
