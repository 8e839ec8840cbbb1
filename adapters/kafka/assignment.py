"""Which member of a group owns which partition.

A partition never goes straight from one member to another. Who owns more than its share is first given less;
once it has let go, and joins again, the partition is given to somebody else. So at no moment two members
take it for theirs, and what stays where it is goes on undisturbed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

PROTOCOL: Final = "eventproof"
_VERSION: Final = 0


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What a member owns, since which generation it knows so, and how often it asked for a new one."""

    generation: int
    owned: tuple[int, ...]
    renewals: int = 0


def assign(claims: Mapping[str, Claim], partitions: int) -> dict[str, list[int]]:
    """The partitions of each member: as equal in number as can be, as many as can be where they are. One that
    has to move is given to nobody yet."""
    kept = _owned(claims, partitions)
    share, more = divmod(partitions, len(claims))
    by_size = sorted(kept, key=lambda member: (-len(kept[member]), member))
    shares = {member: share + (rank < more) for rank, member in enumerate(by_size)}
    free = sorted(set(range(partitions)).difference(*kept.values()))
    given = {member: kept[member][: shares[member]] for member in by_size}
    for member in by_size:
        room = shares[member] - len(given[member])
        given[member] += free[:room]
        free = free[room:]
    return given


def _owned(claims: Mapping[str, Claim], partitions: int) -> dict[str, list[int]]:
    """The later generation is right, should two members claim the same."""
    owner: dict[int, str] = {}
    for member in sorted(claims, key=lambda name: (claims[name].generation, name)):
        owner.update((partition, member) for partition in claims[member].owned if partition < partitions)
    return {member: sorted(p for p, name in owner.items() if name == member) for member in claims}


def told(topic: str, claim: Claim) -> bytes:
    """A claim as a member sends it when it joins; tools for Kafka's consumer groups can read it."""
    metadata = ConsumerProtocolMemberMetadata(_VERSION, [topic], msgspec.json.encode(claim))
    return bytes(metadata.encode())


def heard(metadata: bytes) -> Claim:
    """What a member told."""
    return msgspec.json.decode(ConsumerProtocolMemberMetadata.decode(metadata).user_data, type=Claim)


def written(topic: str, partitions: Iterable[int]) -> bytes:
    """An assignment as the leader sends it."""
    given: list[Any] = [(topic, list(partitions))]
    return bytes(ConsumerProtocolMemberAssignment(_VERSION, given, b"").encode())


def read(assignment: bytes) -> frozenset[int]:
    """The partitions of an assignment; none in an empty one."""
    if not assignment:
        return frozenset()
    found = ConsumerProtocolMemberAssignment.decode(assignment).partitions()
    return frozenset(place.partition for place in found)
