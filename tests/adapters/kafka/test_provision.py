"""Topics: made as the adapter needs them, found, compared, removed."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from eventproof.adapters.errors import Rejected, Unreachable
from eventproof.adapters.kafka import Topic, provision, questions, remove
from eventproof.adapters.kafka.link import open_link
from eventproof.adapters.kafka.options import Options
from eventproof.adapters.kafka.provision import find

SETTINGS = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "LogAppendTime",
    "min.insync.replicas": "1",
    "unclean.leader.election.enable": "false",
}


def test_kaf_013_a_topic_has_the_settings_that_claims_stand_on(kafka):
    async def story():
        made = await provision(kafka.url, "as made", partitions=3)
        kept = await provision(kafka.url, "kept", partitions=1, retention=1.5)
        async with open_link(kafka.url, Options()) as link:
            assert await find(link, "as made") == made
            found = [await questions.configuration(link, topic.stored_as, SETTINGS) for topic in (made, kept)]
        assert made == Topic("as made", "eventproof.as-20made", 3)
        assert found == [SETTINGS, {**SETTINGS, "retention.ms": "1500"}]

    asyncio.run(story())


def test_kaf_014_a_topic_that_is_as_wanted_is_found_and_another_is_a_conflict(kafka):
    async def story():
        for _ in range(2):
            await provision(kafka.url, "twice", partitions=2, retention=60)
        with pytest.raises(Rejected) as refused:
            await provision(kafka.url, "twice", partitions=3)
        assert str(refused.value) == (
            "conflict: topic eventproof.twice exists otherwise: it has 2 partitions, not 3; "
            "retention.ms is 60000, not -1"
        )
        async with open_link(kafka.url, Options()) as link:
            assert (await find(link, "twice")).partitions == 2

    asyncio.run(story())


def test_kaf_014_a_topic_that_somebody_else_made_otherwise_is_a_conflict(kafka):
    async def story():
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
        await admin.start()
        await admin.create_topics([NewTopic("eventproof.theirs", 1, 1)])
        await admin.close()
        with pytest.raises(
            Rejected, match=r"conflict: .* message.timestamp.type is CreateTime, not LogAppendTime"
        ):
            await provision(kafka.url, "theirs", partitions=1)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"partitions": 0}, "a topic has 1 partition or more, not 0"),
        ({"replicas": 0}, "a topic is kept by 1 to 5 brokers, not 0"),
        ({"replicas": 6}, "a topic is kept by 1 to 5 brokers, not 6"),
        ({"replicas": 3}, "InvalidReplicationFactor: .*replication factor"),
        ({"retention": 0}, "retention is 0.001 s or more, or None for ever, not 0"),
        ({"retention": float("nan")}, "not nan"),
        ({"retention": float("inf")}, "not inf"),
    ],
)
def test_what_cannot_be_is_refused(kafka, wanted, said):
    with pytest.raises(Rejected, match=f"invalid: .*{said}"):
        asyncio.run(provision(kafka.url, "impossible", **wanted))


def test_a_topic_can_be_used_as_soon_as_it_is_made_and_is_gone_as_soon_as_it_is_removed(kafka):
    async def story():
        async with kafka.broker() as broker:
            for number in range(15):
                topic = await kafka.topic("comes and goes", partitions=20)
                receipts = await asyncio.gather(
                    *(broker.publish(topic, kafka.event(None)) for _ in range(20))
                )
                assert {receipt.position for receipt in receipts} >= {"0"}, number
                await remove(kafka.url, topic)
                with pytest.raises(Rejected, match="no-topic"):
                    await broker.publish(topic, kafka.event(1))
        await remove(kafka.url, "comes and goes")

    asyncio.run(story())


def test_where_no_broker_answers_it_is_told_in_time():
    with pytest.raises(Unreachable, match=r"no Kafka broker answers at 127.0.0.1:1,127.0.0.1:2: "):
        asyncio.run(provision("kafka://127.0.0.1:1,127.0.0.1:2", "t", connect_timeout=0.3))


def test_a_topic_that_is_not_there_is_not_found(kafka):
    async def story():
        async with open_link(kafka.url, Options()) as link:
            with pytest.raises(Rejected, match=r"no-topic: there is no topic eventproof\.nowhere"):
                await find(link, "nowhere")

    asyncio.run(story())
