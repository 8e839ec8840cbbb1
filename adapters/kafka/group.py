"""A consumer group on a topic: what a session needs to know of it, and whether it may join."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import naming, questions
from eventproof.adapters.kafka.link import Link
from eventproof.adapters.kafka.progress import Progress, decode
from eventproof.adapters.kafka.provision import Topic, find
from eventproof.adapters.policy import Policy

RECORD: Final = 0  # the partition whose commit decides what the policy of the group is


class Group(msgspec.Struct, frozen=True):
    """id: at the broker. digest: of the policy. dead: the topic of its dead letters."""

    name: str
    id: str
    topic: Topic
    policy: Policy
    digest: str
    dead: Topic | None

    @property
    def hold(self) -> float:
        """Seconds that a reserved event may wait for its hand-out: a lease that others wait for is longer by
        so much than ours."""
        return 0.5 + self.policy.ack_timeout / 10

    def check(self, found: Progress) -> None:
        """Raises Rejected (`conflict`) if the group has another policy. It has none where somebody else
        has set its place."""
        if found.policy not in {"", self.digest}:
            raise Rejected("conflict", f"group {self.name} exists with another policy")


async def join(link: Link, topic: str, name: str, policy: Policy) -> tuple[Group, bool]:
    """The group, and whether it has begun on every partition. Nothing is changed.

    Raises Rejected (`no-topic` also for the dead-letter topic, `conflict` for another policy, `invalid`).
    """
    group_id = naming.group(link.prefix, topic, name)
    stored = await find(link, topic)
    dead = None if policy.dead_letter is None else await find(link, policy.dead_letter)
    group = Group(name, group_id, stored, policy, digest(policy), dead)
    begun = await questions.committed(link, group_id, stored.stored_as)
    if RECORD in begun:
        group.check(decode(*begun[RECORD]))
    return group, len(begun) == stored.partitions


def digest(policy: Policy) -> str:
    """The same for equal policies, whose numbers are equal by value."""
    numbers = {"ack_timeout": float(policy.ack_timeout), "backoff": tuple(map(float, policy.backoff))}
    text = msgspec.json.encode(msgspec.structs.replace(policy, **numbers))
    return blake2b(text, digest_size=8).hexdigest()
