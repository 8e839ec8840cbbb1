"""Three nodes of Kafka, of which one may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from eventproof.conformance.targets.kafkacluster import KafkaCluster
from eventproof.conformance.targets.ownserver import ServerFailed
from tests.conformance.targets.kafkaclient import TOPIC, administering, create, producing, publish, stored

pytestmark = pytest.mark.timeout(400)


def on_cluster(story: Callable[[KafkaCluster], Awaitable[None]], **given) -> None:
    async def work() -> None:
        cluster = KafkaCluster(**given)
        try:
            await cluster.start()
            await create(cluster.url, copies=3)
            await publish(cluster.url, b"0")
            await story(cluster)
        finally:
            await cluster.remove()

    asyncio.run(work())


async def leader(cluster: KafkaCluster) -> int:
    """The index of the node that leads the topic's partition."""
    async with administering(cluster.url) as admin:
        (topic,) = await admin.describe_topics([TOPIC])
        return topic["partitions"][0]["leader"] - 1


def test_whichever_node_is_killed_nothing_that_was_confirmed_is_lost() -> None:
    async def story(cluster: KafkaCluster) -> None:
        expected = [b"0"]
        async with producing(cluster.url) as producer:
            for number in range(3):
                lost = cluster.nodes[await leader(cluster)]
                lost.kill()
                for value in (b"%d during" % number, b"%d still" % number):
                    await asyncio.wait_for(producer.send_and_wait(TOPIC, value), 30)
                    expected.append(value)
                await lost.revive()
                await asyncio.wait_for(cluster.settled(), 30)
                assert await stored(cluster.url) == expected

    on_cluster(story)


def test_a_node_alone_confirms_nothing_until_another_is_back() -> None:
    async def story(cluster: KafkaCluster) -> None:
        left = cluster.nodes[await leader(cluster)]
        async with producing(cluster.url, request_timeout_ms=2000) as producer:
            await producer.send_and_wait(TOPIC, b"1")
            others = [node for node in cluster.nodes if node is not left]
            for node in others:
                node.kill()
            sending = asyncio.ensure_future(producer.send_and_wait(TOPIC, b"2"))
            done, _ = await asyncio.wait({sending}, timeout=2)
            assert done == set()
            await asyncio.gather(*(node.revive() for node in others))
            await asyncio.wait_for(sending, 30)
        assert await stored(cluster.url) == [b"0", b"1", b"2"]

    on_cluster(story)


def test_a_frozen_leader_is_replaced_and_catches_up() -> None:
    async def story(cluster: KafkaCluster) -> None:
        frozen = cluster.nodes[await leader(cluster)]
        other = next(node for node in cluster.nodes if node is not frozen)
        async with producing(other.url, request_timeout_ms=2000) as producer:
            await producer.send_and_wait(TOPIC, b"1")
            frozen.freeze()
            await asyncio.wait_for(producer.send_and_wait(TOPIC, b"2"), 30)
            frozen.thaw()
            await asyncio.wait_for(cluster.settled(), 30)
            assert await stored(frozen.url) == [b"0", b"1", b"2"]

    on_cluster(story)


def test_the_data_of_a_cluster_is_there_the_next_time_and_nothing_else_is_left(tmp_path: Path) -> None:
    pids: list[int | None] = []

    async def story(cluster: KafkaCluster) -> None:
        pids.extend(node.pid for node in cluster.nodes)
        await cluster.remove()
        again = KafkaCluster(folder=tmp_path)
        try:
            await again.start()
            assert await stored(again.url) == [b"0"]
        finally:
            await again.remove()

    on_cluster(story, folder=tmp_path)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_a_cluster_of_which_a_node_cannot_start_leaves_nothing() -> None:
    async def work() -> None:
        cluster = KafkaCluster(settings={"log.retention.hours": "soon"})
        with pytest.raises(ServerFailed, match="soon"):
            await cluster.start()
        await cluster.remove()
        assert not cluster._folder.exists()
        assert [node.pid for node in cluster.nodes] == [None] * 3

    asyncio.run(work())
