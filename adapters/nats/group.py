"""A consumer group on a topic: one durable consumer per partition, each with one event in flight.

Every member pulls from all of them, so no partitions are assigned and nothing is rebalanced. One in flight
per partition is what keeps a key's order through redelivery (ORD).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import api, naming
from eventproof.adapters.nats.link import Link
from eventproof.adapters.nats.provision import Topic, find
from eventproof.adapters.policy import Policy

POLICY: Final = "eventproof.policy"  # key in the consumer's metadata


class Group(msgspec.Struct, frozen=True):
    """A group joined: what a session needs to know of it."""

    name: str
    topic: Topic
    policy: Policy

    @property
    def grace(self) -> float:
        """Seconds by which the server's lease outlasts ours: a message is on its way, and then waits here."""
        return 0.5 + self.policy.ack_timeout / 10

    @property
    def ack_wait(self) -> float:
        """Seconds of the server's own lease."""
        return self.policy.ack_timeout + self.grace

    def durable(self, partition: int) -> str:
        return naming.durable(self.name, partition)

    def config(self, link: Link, partition: int) -> dict[str, Any]:
        """The consumer of one partition. Its metadata keeps the policy for those who join later."""
        return {
            "name": self.durable(partition),
            "durable_name": self.durable(partition),
            "deliver_policy": "all" if self.policy.start == "earliest" else "new",
            "ack_policy": "explicit",
            "ack_wait": round(self.ack_wait * api.NANOSECONDS),
            # The server's own limit only tells of an exhausted event once; the adapter dead-letters it.
            "max_deliver": -1,
            "max_ack_pending": 1,
            "filter_subjects": naming.filters(link.prefix, self.topic.name, partition, self.policy.types),
            "inactive_threshold": round((link.forget_groups_after or 0) * api.NANOSECONDS),
            "metadata": {POLICY: msgspec.json.encode(self.policy).decode()},
        }


async def join(link: Link, topic: str, name: str, policy: Policy) -> Group:
    """Create what is missing of the group, on every partition. Joins at the same time are fine.

    Raises Rejected (`no-topic` also for the dead-letter topic, `conflict` for another policy, `invalid`).
    """
    group = Group(name, await find(link, topic), policy)
    if policy.dead_letter is not None:
        await find(link, policy.dead_letter)
    await asyncio.gather(*(_create(link, group, partition) for partition in range(group.topic.partitions)))
    return group


async def _create(link: Link, group: Group, partition: int) -> None:
    durable = group.durable(partition)
    body = {
        "stream_name": group.topic.stream,
        "config": group.config(link, partition),
        "action": "create",  # refuses another configuration, takes the same one
    }
    try:
        await api.call(link, f"CONSUMER.CREATE.{group.topic.stream}.{durable}", api.ConsumerInfo, body)
    except Rejected as refused:
        if refused.kind != "conflict":
            raise
        await _check_policy(link, group, durable)


async def _check_policy(link: Link, group: Group, durable: str) -> None:
    """An existing consumer differs from a new one also by what `returns` notes in its metadata."""
    metadata = (await api.consumer_info(link, group.topic.stream, durable)).config.metadata
    try:
        same = msgspec.json.decode(metadata.get(POLICY, ""), type=Policy) == group.policy
    except msgspec.DecodeError:
        same = False
    if not same:
        raise Rejected("conflict", f"group {group.name} exists with another policy")
