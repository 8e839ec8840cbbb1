"""What a member says to the broker that coordinates its group. Raises as aiokafka does.

aiokafka's own group client commits under whatever generation it has by then, also what belonged to an earlier
one, and shares the memory of its assignor among all consumers of a process. So the requests are made here:
each commit names the generation that it was made in, and an old one is refused by the broker.

Joining waits at the broker, and with it all that is asked over the same connection: commits have another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import aiokafka.errors as kafka
import msgspec
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)

from eventproof.adapters.kafka import closing
from eventproof.adapters.kafka.assignment import PROTOCOL
from eventproof.adapters.kafka.errors import FOREIGN
from eventproof.adapters.kafka.link import REQUEST_TIMEOUT, Link
from eventproof.adapters.kafka.questions import check

_PROTOCOL_TYPE: Final = "consumer"


class Member(msgspec.Struct, frozen=True):
    """One member in one generation of its group."""

    id: str = ""
    generation: int = -1


class Joined(msgspec.Struct, frozen=True):
    """members: their metadata by id, told to the leader alone."""

    member: Member
    leads: bool
    members: Mapping[str, bytes]


class Coordinator:
    """The connections of one session to the coordinator of its group."""

    def __init__(self, link: Link, group_id: str, topic: str) -> None:
        self.client = AIOKafkaClient(**link.arguments, request_timeout_ms=REQUEST_TIMEOUT)
        self._group_id = group_id
        self._topic = topic
        self._node: int | None = None

    async def open(self) -> None:
        await self.client.bootstrap()

    async def close(self) -> None:
        await closing.close(self.client)

    async def join(
        self, member: Member, metadata: bytes, session_timeout: float, *, named: Callable[[Member], None]
    ) -> Joined:
        """Wait until all members have joined, or those that do not are out. named: called with a new name."""
        milliseconds = round(session_timeout * 1000)
        while True:
            request = JoinGroupRequest(
                self._group_id, milliseconds, milliseconds, member.id, None,
                _PROTOCOL_TYPE, [(PROTOCOL, metadata)],
            )  # fmt: skip
            answer = await self._membership(request)
            if answer.error_code == kafka.MemberIdRequired.errno:
                member = Member(answer.member_id)
                named(member)
                continue
            self._check(answer.error_code)
            known = {one[0]: one[-1] for one in answer.members}
            joined = Member(answer.member_id, answer.generation_id)
            return Joined(joined, answer.leader_id == answer.member_id, known)

    async def sync(self, member: Member, assignments: Mapping[str, bytes]) -> bytes:
        """The member's own assignment. assignments: of everybody, by the leader."""
        request = SyncGroupRequest(
            self._group_id, member.generation, member.id, None, list(assignments.items())
        )  # fmt: skip
        answer = await self._membership(request)
        self._check(answer.error_code)
        return bytes(answer.member_assignment)

    async def heartbeat(self, member: Member) -> None:
        answer = await self._membership(HeartbeatRequest(self._group_id, member.generation, member.id))
        self._check(answer.error_code)

    async def leave(self, member: Member) -> None:
        answer = await self._ask(LeaveGroupRequest(self._group_id, member.id))
        self._check(answer.error_code)

    async def commit(self, member: Member, offsets: Sequence[tuple[int, int, str]]) -> None:
        """Partition, offset and text of each. All of them are committed when this returns."""
        request = OffsetCommitRequest(
            self._group_id, member.generation, member.id, -1, [(self._topic, list(offsets))]
        )
        answer = await self._ask(request)
        for _, partitions in answer.topics:
            for _, code in partitions:
                self._check(code)

    async def committed(self, partitions: Sequence[int]) -> dict[int, tuple[int, str]]:
        """Offset and text of each partition that has a commit."""
        answer = await self._ask(OffsetFetchRequest(self._group_id, [(self._topic, list(partitions))]))
        self._check(answer.error_code)
        found = {}
        for partition, offset, text, code in answer.topics[0][1]:
            self._check(code)
            if offset >= 0:
                found[partition] = (offset, text)
        return found

    async def _membership(self, request: Any) -> Any:
        return await self._send(request, ConnectionGroup.COORDINATION)

    async def _ask(self, request: Any) -> Any:
        return await self._send(request, ConnectionGroup.DEFAULT)

    async def _send(self, request: Any, connection: ConnectionGroup) -> Any:
        if self._node is None:
            self._node = await self.client.coordinator_lookup(CoordinationType.GROUP, self._group_id)
        try:
            return await self.client.send(self._node, request, group=connection)
        except FOREIGN:
            self._node = None
            raise

    def _check(self, code: int) -> None:
        if code in _MOVED:
            self._node = None
        check(code)


_MOVED: Final = (kafka.NotCoordinatorForGroupError.errno, kafka.GroupCoordinatorNotAvailableError.errno)
