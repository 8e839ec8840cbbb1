"""What a session reads of a log in which there are transactions, and from which records are removed."""

from __future__ import annotations

import asyncio

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from eventproof.adapters.kafka import naming
from eventproof.adapters.kafka.content import as_structured
from tests.adapters.kafka.conftest import PREFIX


async def write(kafka, producer, topic, number):
    content = as_structured(kafka.event(number))
    name = naming.topic(PREFIX, topic)
    await producer.send_and_wait(name, content.value, headers=content.headers, partition=0)


def test_kaf_012_what_a_transaction_wrote_is_read_once_it_is_committed_and_never_if_it_is_aborted(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            async with kafka.raw(transactional_id=f"theirs of {topic}") as producer:
                await producer.begin_transaction()
                await write(kafka, producer, topic, 1)
                await broker.publish(topic, kafka.event(2))
                await kafka.nothing(session)
                await producer.abort_transaction()
                assert [event.data for event in await kafka.take(session, 1)] == [2]
                await producer.begin_transaction()
                await write(kafka, producer, topic, 3)
                await kafka.nothing(session)
                await producer.commit_transaction()
                assert [event.data for event in await kafka.take(session, 1)] == [3]
            await kafka.nothing(session)

    asyncio.run(story())


def test_kaf_034_a_group_goes_on_behind_what_was_removed_before_it_was_read(kafka):
    async def story():
        topic = await kafka.topic()
        place = TopicPartition(naming.topic(PREFIX, topic), 0)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
        await admin.start()
        try:
            async with kafka.broker() as broker:
                for n in range(3):
                    await broker.publish(topic, kafka.event(n))
                async with broker.subscribe(topic, group="g") as session:
                    assert [event.data for event in await kafka.take(session, 1)] == [0]
                for n in range(3, 8):
                    await broker.publish(topic, kafka.event(n))
                await admin.delete_records({place: RecordsToDelete(before_offset=5)})
                async with broker.subscribe(topic, group="g") as session:
                    assert [event.data for event in await kafka.take(session, 3)] == [5, 6, 7]
                    assert session._committer.accounts[0].ledger.offset == 8
                async with broker.subscribe(topic, group="g") as session:
                    await kafka.nothing(session)
        finally:
            await admin.close()

    asyncio.run(story())
