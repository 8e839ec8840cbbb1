from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.nats.link import NoAnswer, open_link
from eventproof.adapters.nats.options import Options
from eventproof.adapters.nats.provision import find
from eventproof.adapters.nats.publish import MESSAGE_ID
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Receipt
from eventproof.schemas import structured


def sized(nats, size):
    """A new event of exactly so many bytes encoded."""
    event = nats.event(id=None, data="")
    return nats.event(id=event.id, time=event.time, data="x" * (size - len(structured.encode(event))))


def test_nat_009_a_receipt_names_the_position_and_tells_a_duplicate(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as one, nats.broker() as other:
            assert await one.publish(topic, nats.event(1)) == Receipt("1", None, duplicate=False)
            assert await one.publish(topic, nats.event(2)) == Receipt("2", None, duplicate=False)
            assert await other.publish(topic, nats.event(1, "key", type="b", data="x")) == Receipt(
                "1", None, duplicate=True
            )

    asyncio.run(story())


def test_nat_008_identities_that_look_alike_are_told_apart(nats):
    pairs = [
        ("a%20b", "c"),
        ("a", "b%20c"),
        ("a%2Bb", "c"),
        ("a", "b+c"),
        ("a", "b c"),
        ("a", "b%20c "),
        ("a", " "),
    ]

    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            receipts = [
                await broker.publish(topic, nats.event(source=source, id=id_)) for source, id_ in pairs
            ]
            assert [receipt.duplicate for receipt in receipts] == [False] * len(pairs)
            again = [await broker.publish(topic, nats.event(source=source, id=id_)) for source, id_ in pairs]
            assert [receipt.position for receipt in again] == [receipt.position for receipt in receipts]

    asyncio.run(story())


def test_nat_008_the_message_id_is_the_identity_with_a_plus_for_the_blank(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(source="/a%20b", id="c d+é"))
            stream = (await find(broker._link, topic)).stream
            return (await broker._link.client.jetstream().get_msg(stream, 1)).headers[MESSAGE_ID]

    assert asyncio.run(story()) == "%2Fa%2520b+c%20d%2B%C3%A9"


def test_nat_009_an_answer_that_is_not_of_a_stream_confirms_nothing(nats):
    """Somebody who listens to the subject answers in the place of a stream that is not there."""

    async def story():
        async with open_link(nats.url, Options()) as other, nats.broker() as broker:
            await other.client.subscribe("eventproof.nobody=27s.>", cb=agree)
            await other.client.flush()
            with pytest.raises(Indeterminate, match="no confirmation of a stream"):
                await broker.publish("nobody's", nats.event())

    async def agree(message):
        await message.respond(b'{"stream": "eventproof~nobody=27s"}')

    asyncio.run(story())


def test_nat_010_no_responders_is_no_refusal_while_there_is_a_stream(nats, monkeypatch):
    """What a server answers that is starting: its streams are not there yet."""

    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            request = broker._link.request

            async def starting(subject, payload=b"", **more):
                if subject.startswith("eventproof."):
                    raise NoAnswer("no responders")
                return await request(subject, payload, **more)

            monkeypatch.setattr(broker._link, "request", starting)
            with pytest.raises(Indeterminate):
                await broker.publish(topic, nats.event())

    asyncio.run(story())


def test_the_window_is_the_topics_and_ends(nats):
    async def story():
        topic = await nats.topic(window=0.2)
        async with nats.broker() as broker:
            first = await broker.publish(topic, nats.event(1))
            await asyncio.sleep(0.4)
            second = await broker.publish(topic, nats.event(1))
            assert (first.duplicate, second.duplicate) == (False, False)
            assert first.position != second.position

    asyncio.run(story())


def test_nat_012_payloads_up_to_the_claimed_limit_are_taken_and_beyond_it_refused(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            limit = broker.claims.flow.max_payload
            for size in (limit - 1, limit):
                assert len(structured.encode(sized(nats, size))) == size
                await broker.publish(topic, sized(nats, size))
            for size in (limit + 1, limit * 3):
                with pytest.raises(Rejected, match="too-large"):
                    await broker.publish(topic, sized(nats, size))
            assert (await broker.publish(topic, nats.event(9))).position == "3", "the connection lives on"

    asyncio.run(story())


def test_nat_010_an_unknown_topic_is_refused_for_certain(nats):
    async def story():
        async with nats.broker() as broker:
            with pytest.raises(Rejected, match="no-topic"):
                await broker.publish("nowhere", nats.event())

    asyncio.run(story())


@pytest.mark.parametrize("more", [{"type": "a." * 800 + "b"}, {"id": "é" * 1000}])
def test_attributes_that_do_not_fit_are_refused_and_the_connection_lives_on(nats, more):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            with pytest.raises(Rejected, match="invalid"):
                await broker.publish(topic, nats.event(**more))
            await broker.publish(topic, nats.event())

    asyncio.run(story())


@pytest.mark.parametrize(
    "more",
    [
        {"type": "a..b. .*.>"},
        {"type": "a." * 600 + "b"},
        {"type": "x" * 1500},
        {"extensions": {"partitionkey": "k.*.> é" * 30}},
        {"id": " .*>\u2028é", "source": "a%0D%0Ab"},
    ],
)
def test_hostile_attributes_are_carried(nats, more):
    async def story():
        topic = await nats.topic(partitions=3)
        event = nats.event(**more)
        policy_types = (event.type,)
        async with nats.broker() as broker:
            await broker.publish(topic, event)
            async with broker.subscribe(topic, group="all") as session:
                assert await nats.take(session, 1) == [event]
            async with broker.subscribe(topic, group="typed", policy=Policy(types=policy_types)) as session:
                assert await nats.take(session, 1) == [event]

    asyncio.run(story())


def test_nat_011_overlapping_publishes_of_one_connection_keep_their_order(nats):
    async def story():
        topic = await nats.topic()
        for _ in range(3):
            async with nats.broker() as broker:
                receipts = await asyncio.gather(
                    *(broker.publish(topic, nats.event(id=None)) for _ in range(200))
                )
                positions = [int(receipt.position) for receipt in receipts]
                assert positions == list(range(positions[0], positions[0] + 200))

    asyncio.run(story())


def test_nat_010_a_full_and_a_sealed_topic_refuse_for_certain(nats):
    async def story():
        topic = await nats.topic()
        async with open_link(nats.url, Options()) as link, nats.broker() as broker:
            js, name = link.client.jsm(), f"eventproof~{topic.replace(' ', '=20')}"
            config = (await js.stream_info(name)).config
            await js.update_stream(config.evolve(max_msgs=1))
            await broker.publish(topic, nats.event(1))
            with pytest.raises(Rejected, match="full"):
                await broker.publish(topic, nats.event(2))
            await js.update_stream(config.evolve(sealed=True))
            with pytest.raises(Rejected, match="closed"):
                await broker.publish(topic, nats.event(3))

    asyncio.run(story())


def test_publishing_on_a_closed_connection_is_refused(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            pass
        with pytest.raises(Rejected, match="closed"):
            await broker.publish(topic, nats.event())

    asyncio.run(story())
