"""What the broker makes of commits: kept as they are, fenced by the generation, refused from outside."""

from __future__ import annotations

import asyncio

import aiokafka.errors as kafka_errors
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import naming, questions
from eventproof.adapters.kafka.coordinator import Coordinator, Member
from eventproof.adapters.kafka.link import open_link
from eventproof.adapters.kafka.options import Options
from eventproof.adapters.kafka.progress import LIMIT
from eventproof.adapters.policy import Policy
from tests.adapters.kafka.conftest import PREFIX
from tests.adapters.kafka.test_leave import shared

QUICK = {"session_timeout": 1.0}
NOBODY = Member()


async def set_from_outside(kafka, topic, offset):
    """As a tool does it, for a group without members."""
    place = TopicPartition(naming.topic(PREFIX, topic), 0)
    group_id = naming.group(PREFIX, topic, "g")
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.servers, group_id=group_id, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([place])
        await consumer.commit({place: OffsetAndMetadata(offset, "")})
    finally:
        await consumer.stop()


def test_kaf_027_a_text_of_the_limit_is_kept_as_it_is_and_a_longer_one_refused(kafka):
    async def story():
        topic = await kafka.topic()
        name, group_id = naming.topic(PREFIX, topic), naming.group(PREFIX, topic, "g")
        async with open_link(kafka.url, Options()) as link:
            coordinator = Coordinator(link, group_id, name)
            await coordinator.open()
            try:
                text = "x" * LIMIT
                await coordinator.commit(NOBODY, [(0, 7, text)])
                assert await questions.committed(link, group_id, name) == {0: (7, text)}
                with pytest.raises(kafka_errors.OffsetMetadataTooLargeError):
                    await coordinator.commit(NOBODY, [(0, 8, f"{text}x")])
                assert await coordinator.committed([0]) == {0: (7, text)}
            finally:
                await coordinator.close()

    asyncio.run(story())


def test_kaf_024_a_commit_of_an_old_generation_is_refused_also_by_who_is_in_the_present_one(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        async with (
            kafka.broker(**QUICK) as one,
            kafka.broker(**QUICK) as two,
            one.subscribe(topic, group="g") as first,
        ):
            await shared(first, 2)
            before = first._membership.member
            async with two.subscribe(topic, group="g") as second:
                await shared(second, 1)
                after = first._membership.member
                assert (after.id, after.generation > before.generation) == (before.id, True)
                (moved,) = second._committer.accounts
                with pytest.raises(kafka_errors.IllegalGenerationError):
                    await first._coordinator.commit(before, [(moved, 5, "")])

    asyncio.run(story())


@pytest.mark.parametrize("carried_out", [True, False])
def test_kaf_033_a_commit_of_unknown_outcome_is_made_again_in_a_new_generation(
    kafka, monkeypatch, carried_out
):
    original = Coordinator.__dict__["commit"]
    generations, broken = [], []

    async def commit(self, member, offsets):
        generations.append(member.generation)
        if broken:
            broken.clear()
            if carried_out:
                await original(self, member, offsets)
            raise kafka_errors.KafkaConnectionError("broken")
        await original(self, member, offsets)

    async def story():
        topic = await kafka.topic()
        monkeypatch.setattr(Coordinator, "commit", commit)
        async with kafka.broker(**QUICK) as broker:
            await broker.publish(topic, kafka.event(1))
            async with broker.subscribe(topic, group="g") as session:
                delivery = await kafka.next(session)
                broken.append(True)
                told = len(generations)
                await delivery.ack()
                assert generations[told + 1] > generations[told]
                await kafka.nothing(session)

    asyncio.run(story())


def test_the_place_of_a_group_is_set_from_outside_while_it_has_no_members_and_not_otherwise(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker:
            for n in range(3):
                await broker.publish(topic, kafka.event(n))
            async with broker.subscribe(topic, group="g") as session:
                await kafka.take(session, 3)
                with pytest.raises(kafka_errors.CommitFailedError):
                    await set_from_outside(kafka, topic, 1)
                await kafka.nothing(session)
            with pytest.raises(Rejected, match="conflict"):
                async with broker.subscribe(topic, group="g", policy=Policy(ack_timeout=3)):
                    pass
            await set_from_outside(kafka, topic, 1)
            async with broker.subscribe(topic, group="g", policy=Policy(ack_timeout=3)) as session:
                again = [await kafka.next(session) for _ in range(2)]
                assert sorted((one.event.data, one.attempt) for one in again) == [(1, 1), (2, 1)]
                await kafka.nothing(session)

    asyncio.run(story())
