"""Who publishes with another client puts an event into the partition that we put it into."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from eventproof.adapters.kafka.partitioning import murmur2, partition


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_kaf_004_the_hash_is_that_of_kafkas_own_client(key, found):
    assert murmur2(key) == found & 0xFFFFFFFF


@given(st.binary(max_size=40), st.integers(1, 2000))
def test_kaf_004_the_partition_is_that_of_the_default_partitioner(key, count):
    everything = list(range(count))
    assert partition(key, count) == DefaultPartitioner()(key, everything, everything)


def test_kaf_004_and_kaf_005_a_key_has_one_partition_and_so_has_an_event_without_one(kafka):
    async def story():
        topic = await kafka.topic(partitions=5)
        places = {}
        async with kafka.broker() as one, kafka.broker() as other:
            for number in range(60):
                key = f"key {number % 12}" if number % 2 else None
                event = kafka.event(number % 24, key)
                for broker in (one, other):
                    receipt = await broker.publish(topic, event)
                    places.setdefault(key or event.identity, set()).add(receipt.partition)
        stored = {number: await kafka.records(topic, number) for number in range(5)}
        return places, stored

    places, stored = asyncio.run(story())
    assert {len(found) for found in places.values()} == {1}
    assert len(set.union(*places.values())) > 1
    keys = [record.key for records in stored.values() for record in records]
    assert keys.count(None) == 60
    for number, records in stored.items():
        assert all(places[record.key.decode()] == {number} for record in records if record.key is not None)


def test_kaf_004_the_default_client_agrees(kafka):
    async def story():
        topic = await kafka.topic(partitions=7)
        async with kafka.broker() as broker, kafka.raw() as theirs:
            for number in range(30):
                receipt = await broker.publish(topic, kafka.event(number, f"k{number}"))
                name = f"eventproof.{topic.replace(' ', '-20')}"
                found = await theirs.send_and_wait(name, b"", key=f"k{number}".encode())
                assert found.partition == receipt.partition

    asyncio.run(story())
