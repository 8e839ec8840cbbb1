"""What a link can ask."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.kafka import naming, questions
from eventproof.adapters.kafka.link import open_link
from eventproof.adapters.kafka.options import Options
from eventproof.adapters.kafka.questions import EARLIEST, LATEST


def test_offsets_of_the_ends_and_at_a_time(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        name = naming.topic("eventproof", topic)
        async with kafka.broker() as broker, open_link(kafka.url, Options()) as link:
            assert await questions.offsets(link, name) == {0: 0, 1: 0}
            for number in range(10):
                await broker.publish(topic, kafka.event(number))
            ends = await questions.offsets(link, name, LATEST)
            assert sum(ends.values()) == 10
            assert await questions.offsets(link, name, EARLIEST) == {0: 0, 1: 0}
            assert await questions.offsets(link, name, 0) == {0: 0, 1: 0}
            assert await questions.offsets(link, name, 2**50) == {0: -1, 1: -1}
            stored = await kafka.records(topic, 1)
            assert (await questions.offsets(link, name, stored[-1].timestamp))[1] <= stored[-1].offset

    asyncio.run(story())


def test_what_a_group_has_committed_with_its_metadata(kafka):
    async def story():
        topic = await kafka.topic(partitions=3)
        name, group = naming.topic("eventproof", topic), naming.group("eventproof", topic, "g")
        async with open_link(kafka.url, Options()) as link:
            assert await questions.committed(link, group, name) == {}
            consumer = link.consumer(group)
            await consumer.start()
            try:
                place = TopicPartition(name, 1)
                consumer.assign([place])
                await consumer.commit({place: OffsetAndMetadata(7, "é" * 100)})
            finally:
                await consumer.stop()
            assert await questions.committed(link, group, name) == {1: (7, "é" * 100)}
            with pytest.raises(Rejected, match="no-topic"):
                await questions.committed(link, group, "nowhere")

    asyncio.run(story())


def test_nothing_is_asked_over_a_closed_link(kafka):
    async def story():
        async with open_link(kafka.url, Options()) as link:
            pass
        with pytest.raises(Rejected, match="closed"):
            await questions.leaders(link, "t")

    asyncio.run(story())


def test_a_broker_that_is_gone_or_stands_still_makes_the_answer_unknown_in_time_and_comes_back(mortal):
    async def story():
        async with open_link(mortal.url, Options(deadline=1.0)) as link:
            loop = asyncio.get_running_loop()
            for harm, cure in ((mortal.freeze, mortal.thaw), (mortal.kill, mortal.revive)):
                harm()
                start = loop.time()
                with pytest.raises(Indeterminate):
                    await questions.leaders(link, "nowhere")
                assert 0.8 < loop.time() - start < 1.5
                if (healed := cure()) is not None:
                    await healed
                link.deadline = 5.0
                with pytest.raises(Rejected, match="no-topic"):
                    await questions.leaders(link, "nowhere")
                link.deadline = 1.0

    asyncio.run(story())
