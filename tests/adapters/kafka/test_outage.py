"""A broker that goes and comes back: calls end in time, nothing is stored twice, nothing stays behind."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from eventproof.adapters.errors import Indeterminate, Unreachable
from eventproof.adapters.kafka import connect, content, naming, questions
from eventproof.conformance.targets.kafkacluster import KafkaCluster
from tests.adapters.kafka.conftest import Kafka

DEADLINE = 1.0
SLACK = 0.7


async def healed(cure):
    if (coming := cure()) is not None:
        await coming


def harms(server):
    return {"killed": (server.kill, server.revive), "frozen": (server.freeze, server.thaw)}


async def ids(kafka, topic):
    return [content.decode(record.headers, record.value).id for record in await kafka.records(topic)]


def sockets_to(port):
    """Open TCP connections of this process to a port."""
    mine = {str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.exists()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    to_port = [line for line in lines if int(line[2].split(":")[1], 16) == port]
    return [line for line in to_port if f"socket:[{line[9]}]" in mine]


@pytest.mark.parametrize("harm", ["killed", "frozen"])
def test_kaf_020_a_publish_to_a_broker_that_is_gone_is_indeterminate_in_time_and_later_ones_are_stored(
    mortal, harm
):
    async def story():
        kafka = Kafka(mortal.url)
        topic = await kafka.topic(f"gone {harm}")
        do, cure = harms(mortal)[harm]
        loop = asyncio.get_running_loop()
        async with kafka.broker(deadline=DEADLINE) as broker:
            assert (await broker.publish(topic, kafka.event(1))).position == "0"
            do()
            start = loop.time()
            first = asyncio.ensure_future(broker.publish(topic, kafka.event(2)))
            await asyncio.sleep(DEADLINE / 4)
            rest = [asyncio.ensure_future(broker.publish(topic, kafka.event(n))) for n in (3, 4)]
            for publish in (first, *rest):
                with pytest.raises(Indeterminate, match=r"publish: no confirmation within 1 s"):
                    await publish
            assert loop.time() - start < DEADLINE * 1.25 + SLACK
            await healed(cure)
            broker._link.deadline = 10.0
            receipt = await broker.publish(topic, kafka.event(5))
        stored = await ids(kafka, topic)
        assert stored in (["1", "5"], ["1", "2", "5"]), "what waited when its deadline ended was not sent"
        assert stored[int(receipt.position)] == "5"

    asyncio.run(story())


class Traffic:
    """Eight publishers in one connection who do not stop. confirmed: the position of each event by its id."""

    def __init__(self, broker, topic, event):
        self.confirmed = {}
        self._broker, self._topic, self._event = broker, topic, event
        self._over = asyncio.Event()
        self._workers = [asyncio.ensure_future(self._work(worker)) for worker in range(8)]

    async def _work(self, worker):
        number = 0
        while not self._over.is_set():
            number += 1
            name = f"{worker}:{number}"
            receipt = await self._broker.publish(self._topic, self._event(None, "key", id=name, data=0))
            self.confirmed[name] = int(receipt.position)

    async def more(self, number):
        """Wait for so many more confirmed events."""
        wanted = len(self.confirmed) + number
        while len(self.confirmed) < wanted:
            await asyncio.wait(self._workers, timeout=0.02, return_when=asyncio.FIRST_EXCEPTION)
            assert not any(worker.done() for worker in self._workers), "a publish failed"

    async def end(self):
        self._over.set()
        await asyncio.gather(*self._workers)

    def check(self, stored):
        """Each is stored once, where it was confirmed, and each publisher's in the order of its calls."""
        assert {name: at for at, name in enumerate(stored)} == self.confirmed
        assert len(stored) == len(self.confirmed)
        for worker in range(8):
            numbers = [int(name.split(":")[1]) for name in stored if name.startswith(f"{worker}:")]
            assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("harm", ["killed", "frozen", "restarted"])
def test_kaf_017_and_kaf_018_what_is_confirmed_over_an_outage_is_stored_once_and_in_order(mortal, harm):
    async def story():
        kafka = Kafka(mortal.url)
        topic = await kafka.topic(f"over {harm}")
        async with kafka.broker(deadline=30.0) as broker:
            traffic = Traffic(broker, topic, kafka.event)
            for _ in range(2):
                await traffic.more(200)
                if harm == "restarted":
                    await mortal.restart()
                else:
                    do, cure = harms(mortal)[harm]
                    do()
                    await asyncio.sleep(0.5)
                    await healed(cure)
            await traffic.more(200)
            await traffic.end()
        traffic.check(await ids(kafka, topic))

    asyncio.run(story())


@pytest.mark.parametrize("harm", ["killed", "frozen"])
@pytest.mark.parametrize("waits", [False, True])
def test_closing_ends_in_time_and_leaves_no_task_and_no_connection(mortal, harm, waits):
    async def story():
        kafka = Kafka(mortal.url)
        topic = await kafka.topic(f"closed {harm} {waits}")
        do, cure = harms(mortal)[harm]
        tasks = asyncio.all_tasks()
        port = int(mortal.url.rpartition(":")[2])
        async with kafka.broker(deadline=DEADLINE) as broker:
            await broker.publish(topic, kafka.event(1))
            assert sockets_to(port)
            do()
            under_way = [asyncio.ensure_future(broker.publish(topic, kafka.event(n))) for n in range(3)]
            await asyncio.wait(under_way, timeout=None if waits else 0.01)
            start = time.monotonic()
        took = time.monotonic() - start
        for publish in under_way:
            with pytest.raises(Indeterminate):
                await publish
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == tasks
        assert not sockets_to(port)
        assert took < (0 if waits else DEADLINE) + 2 * SLACK
        await healed(cure)

    asyncio.run(story())


@pytest.mark.parametrize("harm", ["killed", "frozen"])
def test_where_no_broker_answers_a_connection_fails_in_time(mortal, harm):
    async def story():
        tasks = asyncio.all_tasks()
        harms(mortal)[harm][0]()
        start = time.monotonic()
        with pytest.raises(Unreachable, match="no Kafka broker answers at 127"):
            async with connect(mortal.url, connect_timeout=DEADLINE):
                pass
        assert time.monotonic() - start < DEADLINE + SLACK
        assert asyncio.all_tasks() == tasks

    asyncio.run(story())


def test_a_connection_is_made_as_soon_as_the_broker_is_there(mortal):
    async def story():
        kafka = Kafka(mortal.url)
        await mortal.stop()
        coming = asyncio.ensure_future(mortal.start())
        async with connect(mortal.url, connect_timeout=60.0, deadline=30.0) as broker:
            await coming
            await broker.publish(await kafka.topic("early bird"), kafka.event(1))

    asyncio.run(story())


@pytest.fixture(scope="module")
def cluster():
    found = KafkaCluster()
    try:
        asyncio.run(found.start())
        yield found
    finally:
        asyncio.run(found.remove())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("harm", ["killed", "frozen"])
def test_kaf_016_what_is_confirmed_over_the_loss_of_the_leading_node_is_stored_once_and_in_order(
    cluster, harm
):
    async def story():
        kafka = Kafka(cluster.url)
        topic = await kafka.topic(f"led {harm}", replicas=3)
        async with kafka.broker(deadline=30.0) as broker:
            traffic = Traffic(broker, topic, kafka.event)
            for _ in range(2):
                await traffic.more(200)
                name = naming.topic("eventproof", topic)
                leader = cluster.nodes[(await questions.leaders(broker._link, name))[0] - 1]
                do, cure = harms(leader)[harm]
                do()
                await traffic.more(200)  # without it
                await healed(cure)
            await traffic.more(200)
            await traffic.end()
        traffic.check(await ids(kafka, topic))

    asyncio.run(story())
