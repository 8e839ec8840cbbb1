"""What a link asks the brokers about topics and groups. Each question is repeated until the deadline.

Raises Rejected (`no-topic`, `forbidden`, `closed`) and Indeterminate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import aiokafka.errors as kafka
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka.link import Link

EARLIEST: Final = -2
LATEST: Final = -1
_READ_COMMITTED: Final = 1
_NO_REPLICA: Final = -1
NOBODY: Final = -1  # the leader of a partition that has none
_TOPIC: Final = 2  # types of what has a configuration
_BROKER: Final = 4


async def leaders(link: Link, topic: str, node: int | None = None) -> dict[int, int]:
    """The node that leads each partition of a topic of Kafka, as one broker knows it."""

    async def ask() -> dict[int, int]:
        answer = await link.ask(MetadataRequest([topic], allow_auto_topic_creation=False), node)
        ((code, _, _, partitions),) = answer.topics
        if code == kafka.UnknownTopicOrPartitionError.errno:
            raise Rejected("no-topic", f"there is no topic {topic}")
        check(code)
        leading = {partition: leader for _, partition, leader, *_ in partitions}
        if NOBODY in leading.values():
            raise kafka.LeaderNotAvailableError
        return dict(sorted(leading.items()))

    return await link.answered(f"looking for topic {topic}", ask)


async def offsets(link: Link, topic: str, timestamp: int = LATEST) -> dict[int, int]:
    """The offset in each partition of a topic of Kafka: of its end (LATEST), of its start (EARLIEST), or of
    the first record that is not older than a time (unix ms; -1 where there is none).

    The end is the last stable one: what is behind it is not committed.
    """

    async def ask() -> dict[int, int]:
        found: dict[int, int] = {}
        for node, partitions in _by_node(await leaders(link, topic)).items():
            wanted = [(partition, timestamp) for partition in partitions]
            answer = await link.ask(OffsetRequest(_NO_REPLICA, _READ_COMMITTED, [(topic, wanted)]), node)
            for partition, code, _, offset in answer.topics[0][1]:
                check(code)
                found[partition] = offset
        return dict(sorted(found.items()))

    return await link.answered(f"reading the offsets of {topic}", ask)


async def committed(link: Link, group_id: str, topic: str) -> dict[int, tuple[int, str]]:
    """What a group has committed on a topic of Kafka: for each partition that has a commit, offset and
    metadata. What a transaction has not ended yet is not in it."""

    async def ask() -> dict[int, tuple[int, str]]:
        node = await _coordinator(link, group_id)
        partitions = list(await leaders(link, topic))
        answer = await link.ask(OffsetFetchRequest(group_id, [(topic, partitions)]), node)
        check(answer.error_code)
        found = {}
        for partition, offset, metadata, code in answer.topics[0][1]:
            check(code)
            if offset >= 0:
                found[partition] = (offset, metadata)
        return found

    return await link.answered(f"reading where group {group_id} stands", ask)


async def configuration(link: Link, topic: str | None, wanted: Iterable[str]) -> dict[str, str]:
    """Settings of a topic of Kafka, or of some broker (None), as they are in effect."""
    names = list(wanted)

    async def ask() -> dict[str, str]:
        node = link.client.get_random_node()
        resource = (_BROKER, str(node), names) if topic is None else (_TOPIC, topic, names)
        answer = await link.ask(DescribeConfigsRequest([resource]), node)
        ((code, _, _, _, entries),) = answer.resources
        check(code)
        return {entry[0]: entry[1] for entry in entries}

    return await link.answered(f"reading the configuration of {topic or 'a broker'}", ask)


async def _coordinator(link: Link, group_id: str) -> int:
    answer = await link.ask(FindCoordinatorRequest(group_id, 0))
    check(answer.error_code)
    return int(answer.coordinator_id)


def check(code: int) -> None:
    """Raise what an error code of the broker says."""
    if code:
        raise kafka.for_code(code)


def _by_node(leading: Mapping[int, int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for partition, node in leading.items():
        found.setdefault(node, []).append(partition)
    return found
