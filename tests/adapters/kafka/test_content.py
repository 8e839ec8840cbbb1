"""Both content modes on a real broker: what is written, what is read, and what is refused."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from pathlib import Path

import pytest

from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import content, naming
from eventproof.adapters.kafka.content import Content
from eventproof.schemas import binary, structured
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import ABSENT

FOLDER = Path(binary.__file__).parent / "vectors"
VECTORS = [
    vector
    for name in ("kafka-binary", "kafka-structured")
    for vector in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
]
READ = [vector for vector in VECTORS if vector["direction"] != "write"]
WRITTEN = [vector for vector in VECTORS if vector["direction"] != "read"]


def value(vector):
    return None if vector["value_base64"] is None else b64decode(vector["value_base64"])


def event_of(vector):
    return structured.decode(json.dumps(vector["event"]).encode())


def key(vector):
    return None if vector["key"] is None else vector["key"].encode()


def as_read(record):
    return content.decode(record.headers, record.value)


async def send(producer, topic, vector):
    """One record with exactly these headers, also two of one name."""
    batch = producer.create_batch()
    headers = [(name, text.encode()) for name, text in vector["headers"]]
    batch.append(timestamp=None, key=key(vector), value=value(vector), headers=headers)
    await (await producer.send_batch(batch, naming.topic("eventproof", topic), partition=0))


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_kaf_008_the_mode_says_what_is_written_and_both_are_read(kafka, mode):
    async def story():
        topic = await kafka.topic()
        event = kafka.event(1, "köln 1", subject='a "b" %', extensions={"note": ""})
        async with kafka.broker(mode=mode) as broker:
            await broker.publish(topic, event)
        (record,) = await kafka.records(topic)
        assert record.key == "köln 1".encode()
        assert as_read(record) == event
        headers = {name: text.decode() for name, text in record.headers}
        if mode == "structured":
            assert headers == {"content-type": "application/cloudevents+json"}
            assert structured.decode(record.value) == event
        else:
            assert headers == dict(binary.encode(event, binary.KAFKA)[0])
            assert headers["ce_partitionkey"] == "köln 1"
            assert record.value == b"1"

    asyncio.run(story())


def test_kaf_006_kaf_007_and_kaf_009_each_vector_is_read_as_it_says_behind_a_real_broker(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.raw() as producer:
            for vector in READ:
                await send(producer, topic, vector)
        return await kafka.records(topic)

    for record, vector in zip(asyncio.run(story()), READ, strict=True):
        if vector["error"] is None:
            assert as_read(record) == event_of(vector), vector["name"]
        else:
            with pytest.raises(InvalidEvent) as refused:
                as_read(record)
            named = (refused.value.attribute or "").strip("'")
            assert named == (vector["error"]["attribute"] or ""), vector["name"]


def test_kaf_006_and_kaf_009_each_vector_is_written_as_it_says(kafka):
    async def story(mode):
        topic = await kafka.topic()
        chosen = [vector for vector in WRITTEN if vector["mode"] == mode]
        taken = []
        async with kafka.broker(mode=mode) as broker:
            for vector in chosen:
                if vector["error"] is None:
                    await broker.publish(topic, event_of(vector))
                    taken.append(vector)
                else:
                    with pytest.raises(
                        Rejected, match=f"invalid: in binary mode {vector['error']['attribute']}: "
                    ):
                        await broker.publish(topic, event_of(vector))
        return list(zip(await kafka.records(topic), taken, strict=True))

    found = [pair for mode in ("structured", "binary") for pair in asyncio.run(story(mode))]
    assert len(found) > 20
    for record, vector in found:
        headers = {name.lower(): text.decode() for name, text in record.headers}
        assert headers == {name.lower(): text for name, text in vector["headers"]}, vector["name"]
        assert record.key == key(vector), vector["name"]
        if vector["mode"] == "structured" or (record.value and is_json(vector)):
            assert json.loads(record.value) == json.loads(value(vector)), vector["name"]
        else:
            assert record.value == value(vector), vector["name"]


def is_json(vector):
    content_type = vector["event"].get("datacontenttype")
    return content_type is None or "json" in content_type.lower()


def test_kaf_010_no_data_is_told_from_null_and_from_none(kafka):
    async def story():
        topic = await kafka.topic()
        given = [
            kafka.event(1, data=ABSENT),
            kafka.event(2, "key", data=ABSENT),
            kafka.event(3, data=None),
            kafka.event(4, data=""),
            kafka.event(5, data=b"", datacontenttype="text/plain"),
            kafka.event(6, data=ABSENT, datacontenttype="text/plain"),
        ]
        async with kafka.broker(mode="binary") as broker:
            for event in given:
                await broker.publish(topic, event)
        records = await kafka.records(topic)
        assert [as_read(record) for record in records] == given
        assert [record.value for record in records] == [None, None, b"null", b'""', b"", None]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("headers", "body", "attribute"),
    [
        ([], None, "specversion"),
        ([], b"", "specversion"),
        ([("content-type", b"application/cloudevents+json")], None, None),
        ([("content-type", None)], b"1", "datacontenttype"),
        ([("ce_id", None)], b"1", "id"),
        ([("ce_specversion", b"1.0"), ("CE_ID", b"\xff")], b"1", "id"),
        ([("Content-Type", b"\xff")], b"1", "datacontenttype"),
    ],
)  # fmt: skip
def test_kaf_009_what_is_no_event_is_told_with_the_attribute_at_fault(headers, body, attribute):
    with pytest.raises(InvalidEvent) as refused:
        content.decode(headers, body)
    assert refused.value.attribute == attribute


def test_kaf_009_headers_that_carry_no_attribute_may_hold_anything(kafka):
    event = kafka.event(1)
    written = content.as_binary(event)
    more = [("trace", b"\xff\x00"), ("trace", None), ("content", None)]
    assert content.decode([*more, *written.headers], written.value) == event


def test_an_event_that_binary_mode_cannot_carry_is_refused_with_the_reason(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker(mode="binary") as broker:
            with pytest.raises(Rejected, match="invalid: in binary mode urgent: is True"):
                await broker.publish(topic, kafka.event(1, extensions={"urgent": True}))
            with pytest.raises(Rejected, match="in binary mode data: is bytes under no content type"):
                await broker.publish(topic, kafka.event(1, data=b"x"))
            assert (await broker.publish(topic, kafka.event(1))).position == "0"

    asyncio.run(story())


def test_kaf_008_a_dead_letter_is_structured_unless_it_fits_in_binary_mode_alone(kafka):
    large = kafka.event(1, data=b"x" * 900, datacontenttype="image/png")
    assert content.of_dead_letter(large, 2000) == content.as_structured(large)
    assert content.of_dead_letter(large, 1300) == content.as_binary(large)
    typed = kafka.event(1, data=b"x" * 900, datacontenttype="image/png", extensions={"urgent": True})
    assert content.of_dead_letter(typed, 1300) == content.as_structured(typed)


@pytest.mark.parametrize("key_size", [0, content.KEY_ROOM, 5000])
def test_kaf_021_a_long_key_counts_twice_since_the_record_has_it_too(kafka, key_size):
    event = kafka.event(1, "k" * key_size) if key_size else kafka.event(1)
    size = len(structured.encode(event)) + max(0, key_size - content.KEY_ROOM)
    assert isinstance(content.encode(event, "structured", size), Content)
    with pytest.raises(Rejected, match=f"too-large: {size} bytes encoded, the limit is {size - 1}"):
        content.encode(event, "structured", size - 1)
