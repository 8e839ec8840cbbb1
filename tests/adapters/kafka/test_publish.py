"""Publishing to a real broker: what a call returns, in what order, and what it refuses."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from eventproof.adapters.clock import now
from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import content, naming, remove
from eventproof.adapters.kafka.content import Content
from eventproof.adapters.kafka.publish import largest_batch
from eventproof.adapters.port import Receipt
from eventproof.conformance.targets.kafkaserver import KafkaServer
from eventproof.schemas import binary, structured
from eventproof.schemas.deadletter import to_dead_letter


async def ids(kafka, topic, partition=0):
    return [
        content.decode(record.headers, record.value).id for record in await kafka.records(topic, partition)
    ]


async def made_elsewhere(kafka, topic, **settings):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    await admin.start()
    try:
        name = naming.topic("eventproof", topic)
        written = {key.replace("_", "."): value for key, value in settings.items()}
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=written)])
    finally:
        await admin.close()


@asynccontextmanager
async def publishing(kafka, **options):
    """A broker, and a new topic of one partition."""
    topic = await kafka.topic()
    async with kafka.broker(**options) as broker:
        yield broker, topic


def test_kaf_016_a_receipt_names_the_place_and_a_second_copy_has_another(kafka):
    async def story():
        async with publishing(kafka) as (broker, topic):
            receipts = [await broker.publish(topic, kafka.event(1)) for _ in range(2)]
        assert receipts == [Receipt("0", 0, None), Receipt("1", 0, None)]
        assert await ids(kafka, topic) == ["1", "1"]

    asyncio.run(story())


def test_kaf_016_a_position_is_where_the_event_is(kafka):
    async def story():
        topic = await kafka.topic(partitions=3)
        async with kafka.broker() as broker:
            sent = [kafka.event(number, f"k{number % 7}") for number in range(300)]
            receipts = await asyncio.gather(*(broker.publish(topic, event) for event in sent))
        stored = {number: await ids(kafka, topic, number) for number in range(3)}
        for event, receipt in zip(sent, receipts, strict=True):
            assert stored[receipt.partition][int(receipt.position)] == event.id
        assert sum(map(len, stored.values())) == len(sent)

    asyncio.run(story())


@pytest.mark.parametrize("size", [1, 2000])
def test_kaf_018_overlapping_publishes_keep_their_order_from_the_first_one_on(kafka, size):
    """The first one has to find the topic; later ones wait for room, and others come meanwhile."""

    async def story():
        async with publishing(kafka) as (broker, topic):
            publishes = []
            for number in range(1500):
                event = kafka.event(number, "k", data="x" * size)
                publishes.append(asyncio.ensure_future(broker.publish(topic, event)))
                if number % 7 == 0:
                    await asyncio.sleep(0)
            receipts = await asyncio.gather(*publishes)
        assert [int(receipt.position) for receipt in receipts] == list(range(1500))
        assert await ids(kafka, topic) == [str(number) for number in range(1500)]

    asyncio.run(story())


def test_kaf_019_an_unknown_topic_is_refused_for_certain_and_found_once_it_is_made(kafka):
    async def story():
        async with kafka.broker() as broker:
            for refused in await asyncio.gather(
                *(broker.publish("later", kafka.event(number)) for number in range(3)), return_exceptions=True
            ):
                assert isinstance(refused, Rejected)
                assert refused.kind == "no-topic"
            await kafka.topic("later")
            assert (await broker.publish("later", kafka.event(1))).position == "0"

    asyncio.run(story())


def test_kaf_015_no_topic_is_made_by_looking_for_it(kafka):
    """Also where the broker makes one for whoever asks."""

    async def story():
        server = KafkaServer(settings={"auto.create.topics.enable": "true"})
        try:
            await server.start()
            theirs = type(kafka)(server.url)
            async with theirs.broker() as broker:
                for _ in range(2):
                    with pytest.raises(Rejected, match="no-topic"):
                        await broker.publish("nowhere", kafka.event(1))
                await theirs.topic("here")
                await broker.publish("here", kafka.event(1))
                await remove(server.url, "here")
                for _ in range(2):
                    with pytest.raises(Rejected, match="no-topic"):
                        await broker.publish("here", kafka.event(1))
        finally:
            await server.remove()

    asyncio.run(story())


def test_kaf_019_a_topic_that_is_removed_meanwhile_refuses_for_certain_and_at_once(kafka):
    async def story():
        async with publishing(kafka) as (broker, topic):
            await broker.publish(topic, kafka.event(1))
            await remove(kafka.url, topic)
            publishes = [asyncio.ensure_future(broker.publish(topic, kafka.event(n))) for n in range(50)]
            done, _ = await asyncio.wait(publishes, timeout=1.0)
            assert len(done) == len(publishes)
            assert {publish.exception().kind for publish in done} == {"no-topic"}

    asyncio.run(story())


@pytest.mark.parametrize("partitions", [1, 3])
def test_kaf_020_what_was_given_up_is_not_written_into_a_topic_that_was_made_again(kafka, partitions):
    async def story():
        async with publishing(kafka) as (broker, topic):
            await broker.publish(topic, kafka.event(1, "k"))
            await remove(kafka.url, topic)
            with pytest.raises(Rejected, match="no-topic"):
                await broker.publish(topic, kafka.event(2, "k"))
            await kafka.topic(topic, partitions=partitions)
            receipt = await broker.publish(topic, kafka.event(3, "k"))
            assert receipt.position == "0"
            assert await ids(kafka, topic, receipt.partition) == ["3"]

    asyncio.run(story())


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_topic_that_was_made_again_unnoticed_is_published_to(kafka, partitions):
    async def story():
        async with publishing(kafka) as (broker, topic):
            for number in range(3):
                await broker.publish(topic, kafka.event(number, f"k{number}"))
            await remove(kafka.url, topic)
            await kafka.topic(topic, partitions=partitions)
            receipt = await broker.publish(topic, kafka.event(9, "k"))
            assert await ids(kafka, topic, receipt.partition) == ["9"]

    asyncio.run(story())


def sized(kafka, mode, size, key=None):
    """A new event of exactly so many bytes encoded."""
    more = {"time": "2026-01-01T00:00:00Z", "data": b"", "datacontenttype": "image/png"}
    if mode == "structured":
        more = {"time": "2026-01-01T00:00:00Z", "data": ""}
    rest = size - len(structured.encode(kafka.event(1, key, **more)))
    if mode == "binary":  # its structured form is larger by a third, and has to fit
        rest = rest // 4 * 3
    return kafka.event(1, key, **{**more, "data": ("x" if mode == "structured" else b"x") * rest})


def measure(event, mode):
    as_json = len(structured.encode(event))
    return as_json if mode == "structured" else max(as_json, content.total(content.as_binary(event)))


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize("key", [None, "é" * 500])
def test_kaf_021_events_up_to_the_claimed_limit_are_taken_with_their_dead_letter_and_beyond_it_refused(
    kafka, mode, key
):
    async def story():
        async with publishing(kafka, mode=mode, deadline=20.0) as (broker, topic):
            limit = broker.claims.flow.max_payload
            largest = await largest_batch(broker._link)
            steps = (limit - 1, limit) if mode == "structured" else (limit - 4,)  # base64 comes in fours
            for size in steps:
                event = sized(kafka, mode, size, key)
                assert limit - 8 < measure(event, mode) <= limit
                await broker.publish(topic, event)
                assert content.total(content.as_structured(buried(event))) <= largest
            beyond = sized(kafka, mode, limit + (1 if mode == "structured" else 4), key)
            with pytest.raises(Rejected, match=rf"too-large: \d+ bytes encoded, the limit is {limit}"):
                await broker.publish(topic, beyond)
            assert (await broker.publish(topic, kafka.event(2))).position == str(len(steps))

    asyncio.run(story())


def buried(event):
    """As large as a dead letter gets."""
    return to_dead_letter(
        event,
        reason="rejected",
        attempts=2**31 - 1,
        topic="t" * 200,
        group="g" * 200,
        error='"' * 3000,
        now=now(),
    )


def test_kaf_021_the_brokers_limit_is_that_of_a_batch_and_a_refused_one_stops_nobody(kafka):
    async def story():
        async with publishing(kafka, deadline=20.0) as (broker, topic):
            producer, largest = broker._producer, await largest_batch(broker._link)
            name = naming.topic("eventproof", topic)
            around = 61 + 11  # bytes of the batch, and of a record without key and headers

            def sent(size):
                return producer.store(name, b"k", Content(None, [], b"x" * (size - around)))

            for number, size in enumerate((largest - 1, largest)):
                assert (await sent(size)).offset == number
            for size in (largest + 1, largest * 2):
                with pytest.raises(Rejected, match="too-large"):
                    await sent(size)
            assert (await broker.publish(topic, kafka.event(1))).position == "2"

    asyncio.run(story())


def test_a_topic_with_a_smaller_limit_takes_what_fits_whatever_waits_beside_it(kafka):
    async def story():
        await made_elsewhere(kafka, "small", max_message_bytes="5000")
        async with kafka.broker() as broker:
            sizes = [6000 if number % 10 == 5 else 800 for number in range(100)]
            outcomes = await asyncio.gather(
                *(broker.publish("small", kafka.event(n, data="x" * size)) for n, size in enumerate(sizes)),
                return_exceptions=True,
            )
        for size, outcome in zip(sizes, outcomes, strict=True):
            assert (getattr(outcome, "kind", None) == "too-large") is (size == 6000), outcome
        assert await ids(kafka, "small") == [str(n) for n, size in enumerate(sizes) if size == 800]

    asyncio.run(story())


def test_a_closed_connection_refuses_and_what_was_under_way_is_finished(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker:
            publishes = [asyncio.ensure_future(broker.publish(topic, kafka.event(n))) for n in range(500)]
            await asyncio.sleep(0)
        assert [int((await publish).position) for publish in publishes] == list(range(500))
        with pytest.raises(Rejected, match="closed: the connection to Kafka is closed"):
            await broker.publish(topic, kafka.event(1))
        assert len(await ids(kafka, topic)) == 500

    asyncio.run(story())


def test_a_cancelled_publish_leaves_the_others_alone(kafka):
    async def story():
        async with publishing(kafka) as (broker, topic):
            publishes = [asyncio.ensure_future(broker.publish(topic, kafka.event(n))) for n in range(20)]
            await asyncio.sleep(0)
            for publish in publishes[::2]:
                publish.cancel()
            outcomes = await asyncio.gather(*publishes, return_exceptions=True)
            assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
            assert all(isinstance(outcome, Receipt) for outcome in outcomes[1::2])
            stored = await ids(kafka, topic)
            assert [name for name in stored if int(name) % 2] == [str(n) for n in range(1, 20, 2)]
            assert len(set(stored)) == len(stored)

    asyncio.run(story())


@pytest.mark.parametrize("name", ["", "x" * 300])
def test_a_topic_that_has_no_name_at_the_broker_is_refused(kafka, name):
    async def story():
        async with kafka.broker() as broker:
            with pytest.raises(Rejected, match="invalid: the topic"):
                await broker.publish(name, kafka.event(1))

    asyncio.run(story())


def test_binary_is_the_same_json_for_the_data_as_structured(kafka):
    event = kafka.event(1, data={"a": [1, "é"]})
    assert content.as_binary(event).value == binary.encode(event, binary.KAFKA)[1]
