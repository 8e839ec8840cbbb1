"""Both content modes on a real server: what is written, what is read, and how large it may be."""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64decode
from bisect import bisect_left
from pathlib import Path

import pytest
from nats.protocol import command

from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import content
from eventproof.adapters.nats.content import Content
from eventproof.adapters.nats.provision import find
from eventproof.adapters.nats.publish import MESSAGE_ID, store
from eventproof.adapters.policy import Policy
from eventproof.schemas import binary, structured
from eventproof.schemas.deadletter import from_dead_letter
from eventproof.schemas.event import ABSENT

MODES = ["structured", "binary"]
FOLDER = Path(binary.__file__).parent / "vectors"
VECTORS = [
    vector
    for name in ("nats-binary", "nats-structured")
    for vector in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if vector["direction"] != "write"
]
# The client library keeps the last of two headers of one name, so nobody behind it sees both.
UNSEEN = {"nats-binary-attribute-twice", "nats-binary-content-type-twice"}


async def read_all(nats, broker, topic, group="all", policy=Policy()):  # noqa: B008 - a frozen value
    """What is delivered until nothing is left."""
    found = []
    async with broker.subscribe(topic, group=group, policy=policy) as session:
        while True:
            try:
                delivery = await nats.next(session, 0.5)
            except asyncio.TimeoutError:
                return found
            await delivery.ack()
            found.append(delivery.event)


async def send(broker, subject, headers, body):
    """One message with exactly these headers, also two of one name."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    client = broker._link.client
    await client._send_command(command.hpub_cmd(subject, "", f"NATS/1.0\r\n{lines}\r\n".encode(), body))
    await client._flush_pending()


@pytest.mark.parametrize("mode", MODES)
def test_nat_013_and_nat_014_the_mode_says_what_is_written_and_both_are_read(nats, mode):
    async def story():
        topic = await nats.topic()
        event = nats.event(1, "köln 1", subject='a "b" %', extensions={"note": ""})
        async with nats.broker(mode=mode) as broker:
            await broker.publish(topic, event)
            stream = (await find(broker._link, topic)).stream
            stored = await broker._link.client.jetstream().get_msg(stream, 1)
        async with nats.broker() as other:
            assert await read_all(nats, other, topic) == [event]
        del stored.headers[MESSAGE_ID]
        if mode == "structured":
            assert stored.headers == {"Content-Type": structured.CONTENT_TYPE}
            assert structured.decode(stored.data) == event
        else:
            assert stored.headers["ce-partitionkey"] == "k%C3%B6ln%201"
            assert stored.headers == dict(binary.encode(event, binary.NATS)[0])
            assert stored.data == b"1"

    asyncio.run(story())


def test_an_event_that_binary_mode_cannot_carry_is_refused_with_the_reason(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker(mode="binary") as broker:
            with pytest.raises(Rejected, match="invalid: in binary mode urgent: is True"):
                await broker.publish(topic, nats.event(1, extensions={"urgent": True}))
            with pytest.raises(
                Rejected, match="invalid: in binary mode data: is bytes under no content type"
            ):
                await broker.publish(topic, nats.event(1, data=b"x"))
            await broker.publish(topic, nats.event(1))

    asyncio.run(story())


def test_nat_014_a_dead_letter_is_structured_whatever_the_mode(nats):
    async def story():
        topic, dead = await nats.topic(), await nats.topic()
        event = nats.event(1, data=b"\x00", datacontenttype="image/png")
        policy = Policy(max_attempts=1, dead_letter=dead)
        async with nats.broker(mode="binary") as broker:
            await broker.publish(topic, event)
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                await (await nats.next(session)).nack()
            (letter,) = await read_all(nats, broker, dead)
            stream = (await find(broker._link, dead)).stream
            stored = await broker._link.client.jetstream().get_msg(stream, 1)
        assert from_dead_letter(letter)[0] == event
        assert structured.decode(stored.data) == letter

    asyncio.run(story())


def test_nat_015_each_vector_is_read_as_it_says_or_dead_lettered_with_its_bytes(nats):
    async def story():
        topic, dead = await nats.topic(), await nats.topic()
        policy = Policy(max_attempts=1, dead_letter=dead)
        async with nats.broker() as broker:
            subject = f"{(await find(broker._link, topic)).stream.replace('~', '.')}.raw.type"
            for vector in VECTORS:
                await send(broker, subject, vector["headers"], b64decode(vector["value_base64"]))
            delivered = await read_all(nats, broker, topic, policy=policy)
            letters = [from_dead_letter(event) for event in await read_all(nats, broker, dead)]
        return delivered, letters

    delivered, letters = asyncio.run(story())
    seen = [vector for vector in VECTORS if vector["name"] not in UNSEEN]
    good = [structured.decode(json.dumps(v["event"]).encode()) for v in seen if v["error"] is None]
    assert len(VECTORS) - len(seen) == len(UNSEEN)
    assert [event for event in delivered if event in good] == good
    assert {told.reason for _, told in letters} == {"undecodable"}
    by_position = {int(event.id): (event.data, told.error) for event, told in letters}
    for position, vector in enumerate(VECTORS, 1):
        if vector["error"] is not None and vector["name"] not in UNSEEN:
            data, error = by_position.pop(position)
            assert data == b64decode(vector["value_base64"]), vector["name"]
            assert error.lstrip("'").startswith(vector["error"]["attribute"] or ""), vector["name"]
    assert len(by_position) <= len(UNSEEN)
    assert len(delivered) + len(letters) == len(VECTORS)


def sized(nats, mode, size, **more):
    """The smallest new event that takes so many bytes, or more, in that mode."""
    start = nats.event(id=None, **{"data": "", **more})
    unit = b"x" if "data" in more else "x"

    def filled(length):
        return nats.event(id=start.id, time=start.time, **{**more, "data": unit * length})

    return filled(bisect_left(range(size), size, key=lambda length: measure(filled(length), mode)))


def measure(event, mode):
    as_json = len(structured.encode(event))
    if mode == "structured":
        return as_json
    headers, body = binary.encode(event, binary.NATS)
    return max(as_json, content.total(dict(headers), body))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"extensions": {"partitionkey": "é" * 300, "note": "\\" * 6000}},
        {"data": b"", "datacontenttype": "image/png"},
    ],
    ids=["json", "attributes", "bytes"],
)
def test_nat_012_an_event_at_the_limit_is_taken_with_its_dead_letter_and_one_beyond_refused(nats, mode, more):
    async def story():
        topic, dead = await nats.topic(), await nats.topic()
        policy = Policy(max_attempts=1, dead_letter=dead)
        async with nats.broker(mode=mode) as broker:
            limit = broker.claims.flow.max_payload
            steps = (limit - 3,) if "data" in more else (limit - 1, limit)  # base64 comes in fours
            taken = [sized(nats, mode, size, **more) for size in steps]
            assert all(limit - 4 < measure(event, mode) <= limit for event in taken)
            for event in taken:
                await broker.publish(topic, event)
            beyond = sized(nats, mode, limit + 1, **more)
            with pytest.raises(
                Rejected, match=f"too-large: {measure(beyond, mode)} bytes encoded, the limit"
            ):
                await broker.publish(topic, beyond)
            async with broker.subscribe(topic, group="g" * 180, policy=policy) as session:
                for event in taken:
                    delivery = await nats.next(session)
                    assert delivery.event == event
                    await delivery.reject('"' * 2000)
            letters = await read_all(nats, broker, dead)
            assert [from_dead_letter(letter)[0] for letter in letters] == taken

    asyncio.run(story())


def test_the_servers_limit_counts_the_headers_line_by_line(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker() as broker:
            link, limit = broker._link, broker._link.client.max_payload
            subject = f"{(await find(link, topic)).stream.replace('~', '.')}.raw.type"
            headers = {"Content-Type": "text/plain", "note": ""}
            rest = limit - content.total({MESSAGE_ID: "1", **headers}, b"")
            ack = await store(link, topic, subject, Content(headers, b"x" * rest), "1")
            assert ack.seq == 1
            with pytest.raises(
                Rejected, match=f"too-large: {limit + 1} bytes with headers, the server takes"
            ):
                await store(link, topic, subject, Content(headers, b"x" * (rest + 1)), "2")
            lost = asyncio.Event()
            link.on_close.add(lost.set)
            await send(broker, subject, [("note", "")], b"x" * (limit - len("NATS/1.0\r\nnote: \r\n\r\n")))
            await broker.publish(topic, nats.event(2))
            await send(
                broker, subject, [("note", "")], b"x" * (limit + 1 - len("NATS/1.0\r\nnote: \r\n\r\n"))
            )
            await asyncio.wait_for(lost.wait(), 5)
            with pytest.raises(Rejected, match=r"closed: .*: maximum payload violation"):
                await broker.publish(topic, nats.event(3))

    asyncio.run(story())


@pytest.mark.parametrize(("spare", "fits"), [(2000, True), (100, False)])
def test_a_large_message_that_is_no_event_is_dead_lettered_in_binary_mode_or_stops_its_lane(
    nats, caplog, spare, fits
):
    async def story():
        topic, dead = await nats.topic(), await nats.topic()
        policy = Policy(max_attempts=1, dead_letter=dead, ack_timeout=0.3)
        async with nats.broker() as broker:
            raw = b"\xff" * (broker._link.client.max_payload - spare)
            await nats.raw(broker, topic, raw)
            await broker.publish(topic, nats.event(1))
            delivered = await read_all(nats, broker, topic, policy=policy)
            letters = [from_dead_letter(event) for event in await read_all(nats, broker, dead)]
        assert [event.data for event in delivered] == ([1] if fits else [])
        assert [(event.data, told.reason) for event, told in letters] == (
            [(raw, "undecodable")] if fits else []
        )

    caplog.set_level(logging.ERROR)
    asyncio.run(story())
    told = [record.getMessage() for record in caplog.records]
    assert bool(told) is not fits
    assert all("it does not fit into a dead letter" in text for text in told)


def test_no_data_is_told_from_null_and_from_none(nats):
    async def story():
        topic = await nats.topic()
        given = [
            nats.event(1, data=ABSENT),
            nats.event(2, data=None),
            nats.event(3, data=""),
            nats.event(4, data=b"", datacontenttype="text/plain"),
        ]
        async with nats.broker(mode="binary") as broker:
            for event in given:
                await broker.publish(topic, event)
            assert await read_all(nats, broker, topic) == given

    asyncio.run(story())
