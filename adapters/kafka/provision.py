"""Make and remove topics: for service authors (by URL) and for the suite (by link); no part of the port."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final

import aiokafka.errors as kafka
import msgspec
from aiokafka.protocol.admin import CreateTopicsRequest, DeleteTopicsRequest

from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import naming, questions
from eventproof.adapters.kafka.link import Link, open_link
from eventproof.adapters.kafka.options import options as parse

SHORTEST: Final = 0.001  # seconds that a broker accepts as retention
FOR_EVER: Final = -1
LONGEST: Final = 2.0**53 / 1000
RETENTION: Final = "retention.ms"
# The copies that have to have an event before it is confirmed; of one, two, three, four and five.
IN_SYNC: Final = {1: 1, 2: 2, 3: 2, 4: 3, 5: 3}


class Topic(msgspec.Struct, frozen=True):
    """A provisioned topic, and the name that it has at the broker."""

    name: str
    stored_as: str
    partitions: int


async def provision(
    url: str,
    topic: str,
    *,
    partitions: int = 8,
    retention: float | None = None,
    replicas: int = 1,
    **options: Any,
) -> Topic:
    """Create a topic as `create` does. options: those of `connect`."""
    async with open_link(url, parse(options)) as link:
        return await create(link, topic, partitions=partitions, retention=retention, replicas=replicas)


async def remove(url: str, topic: str, **options: Any) -> None:
    """Delete a topic with its events; nothing happens if there is none."""
    async with open_link(url, parse(options)) as link:
        await delete(link, topic)


async def find(link: Link, topic: str) -> Topic:
    """A topic that is there. Raises Rejected (`no-topic`, `forbidden`, `invalid`), Indeterminate."""
    name = naming.topic(link.prefix, topic)
    return Topic(topic, name, len(await questions.leaders(link, name)))


async def create(
    link: Link, topic: str, *, partitions: int, retention: float | None = None, replicas: int = 1
) -> Topic:
    """Create a topic, or find it as it should be; it can be used when this returns.

    partitions: lanes in which events are settled in order; fixed for the topic's life.
    retention: seconds that events are kept at least, settled or not; None for ever.
    replicas: brokers of a cluster that keep the topic, 1 to 5; more than half of them confirm an event.
    Raises Rejected (`invalid`; `conflict` if it exists with another configuration: it is never changed).
    """
    _check(partitions, retention, replicas)
    name = naming.topic(link.prefix, topic)
    settings = _settings(retention, replicas)
    if not await _created(link, name, partitions, replicas, settings):
        await _compare(link, name, partitions, settings)
    await _usable(link, name)
    return Topic(topic, name, partitions)


async def delete(link: Link, topic: str) -> None:
    """Delete a topic with its events; nothing happens if there is none. It is gone when this returns."""
    name = naming.topic(link.prefix, topic)

    async def ask() -> None:
        answer = await _ask_controller(link, DeleteTopicsRequest([name], _milliseconds(link.deadline)))
        ((_, code),) = answer.topic_error_codes
        if code != kafka.UnknownTopicOrPartitionError.errno:
            questions.check(code)

    await link.answered(f"deleting topic {topic}", ask)
    await asyncio.gather(*(_gone(link, name, node) for node in _nodes(link)))


def _settings(retention: float | None, replicas: int) -> dict[str, str]:
    """What decides a claim, whatever the broker's defaults are."""
    return {
        "cleanup.policy": "delete",
        RETENTION: str(FOR_EVER if retention is None else _milliseconds(retention)),
        "retention.bytes": str(FOR_EVER),
        # The broker's clock: it does not go back within a partition, and windows are measured by it.
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(IN_SYNC[replicas]),
        "unclean.leader.election.enable": "false",
    }


async def _created(
    link: Link, name: str, partitions: int, replicas: int, settings: Mapping[str, str]
) -> bool:
    """False if there is one already."""
    wanted: tuple[Any, ...] = (name, partitions, replicas, [], list(settings.items()))

    async def ask() -> bool:
        request = CreateTopicsRequest([wanted], _milliseconds(link.deadline), validate_only=False)
        ((_, code, message),) = (await _ask_controller(link, request)).topic_errors
        if code == kafka.TopicAlreadyExistsError.errno:
            return False
        if code:
            raise kafka.for_code(code)(message)
        return True

    return await link.answered(f"creating topic {name}", ask)


async def _compare(link: Link, name: str, partitions: int, settings: Mapping[str, str]) -> None:
    """Raises Rejected (`conflict`) if the topic is not as wanted."""
    there = len(await questions.leaders(link, name))
    found = await questions.configuration(link, name, settings)
    wrong = [
        f"{key} is {found.get(key)}, not {value}"
        for key, value in settings.items()
        if found.get(key) != value
    ]
    if there != partitions:
        wrong.insert(0, f"it has {there} partitions, not {partitions}")
    if wrong:
        raise Rejected("conflict", f"topic {name} exists otherwise: {'; '.join(wrong)}")


async def _usable(link: Link, name: str) -> None:
    """Wait until every broker knows who leads each partition, and the leaders take requests."""

    async def known(node: int) -> None:
        async def ask() -> None:
            try:
                await questions.leaders(link, name, node)
            except Rejected as refused:
                raise _not_yet(refused) from refused

        await link.answered(f"waiting for topic {name}", ask)

    await asyncio.gather(*(known(node) for node in _nodes(link)))
    await questions.offsets(link, name)


async def _gone(link: Link, name: str, node: int) -> None:
    async def ask() -> None:
        try:
            await questions.leaders(link, name, node)
        except Rejected as refused:
            if refused.kind == "no-topic":
                return
            raise
        raise kafka.LeaderNotAvailableError

    await link.answered(f"waiting for the end of topic {name}", ask)


def _not_yet(refused: Rejected) -> Exception:
    return kafka.LeaderNotAvailableError() if refused.kind == "no-topic" else refused


async def _ask_controller(link: Link, request: Any) -> Any:
    controller = link.client.cluster.controller
    if controller is None:
        raise kafka.NotControllerError
    return await link.ask(request, controller.nodeId)


def _nodes(link: Link) -> list[int]:
    return [broker.nodeId for broker in link.client.cluster.brokers()]


def _check(partitions: int, retention: float | None, replicas: int) -> None:
    wrong = {
        f"a topic has 1 partition or more, not {partitions}": partitions < 1,
        f"a topic is kept by 1 to {max(IN_SYNC)} brokers, not {replicas}": replicas not in IN_SYNC,
        f"retention is {SHORTEST} s or more, or None for ever, not {retention}": not _long(retention),
    }
    for problem, found in wrong.items():
        if found:
            raise Rejected("invalid", problem)


def _long(seconds: float | None) -> bool:
    return seconds is None or SHORTEST <= seconds < LONGEST


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)
