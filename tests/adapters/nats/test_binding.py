"""What a server keeps of us is what the binding document says: read from its tables, asked of a server."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from eventproof.adapters.nats.link import open_link
from eventproof.adapters.nats.options import Options
from eventproof.adapters.policy import Policy
from eventproof.spec.__main__ import HERE
from eventproof.spec.parse import document, table

BINDING = document("bindings/nats.md", (HERE / "bindings" / "nats.md").read_text(encoding="utf-8"))
ACK_TIMEOUT = 30.0


def settings(heading: str) -> dict[str, str]:
    """The first two columns of a section's table, without the marks of code."""
    return {row[0].strip("`"): row[1].strip("`") for row in table(BINDING, heading)}


async def asked(url: str, subject: str) -> dict[str, Any]:
    async with open_link(url, Options()) as link:
        reply = await link.request(f"$JS.API.{subject}")
    return msgspec.json.decode(reply.data)


def as_written(name: str, written: str, partition: int) -> object:
    """The value of a consumer's setting that a cell of the table stands for."""
    known = {
        "durable_name": f"billing~{partition}",
        "ack_wait": round((ACK_TIMEOUT * 1.1 + 0.5) * 1e9),
        "filter_subjects": [f"eventproof.orders.{partition}.*.a.b.>", f"eventproof.orders.{partition}.*.c"],
    }
    literal = {"unset": None, "-1": -1, "1": 1}
    return known[name] if name in known else literal.get(written, written)


def test_nat_001_nat_004_and_nat_006_a_stream_has_the_settings_of_the_document(nats):
    async def test():
        topic = await nats.topic("table", partitions=4)
        return (await asked(nats.url, f"STREAM.INFO.eventproof~{topic}"))["config"]

    found = asyncio.run(test())
    written = settings("Streams")
    assert {name: msgspec.json.encode(found[name]).decode().strip('"') for name in written} == written
    assert found["subjects"] == ["eventproof.table.>"]
    assert found["subject_transform"] == {
        "src": "eventproof.table.*.>",
        "dest": "eventproof.table.{{partition(4,1)}}.{{wildcard(1)}}.>",
    }
    assert found["metadata"]["eventproof.partitions"] == "4"


def test_nat_017_a_group_has_one_consumer_for_each_partition_with_the_settings_of_the_table(nats):
    async def test():
        topic = await nats.topic("orders", partitions=3)
        policy = Policy(ack_timeout=ACK_TIMEOUT, types=("a.b.*", "c"))
        async with nats.broker() as broker, broker.subscribe(topic, group="billing", policy=policy):
            names = (await asked(nats.url, "CONSUMER.NAMES.eventproof~orders"))["consumers"]
            subjects = [f"CONSUMER.INFO.eventproof~orders.billing~{partition}" for partition in range(3)]
            return names, [(await asked(nats.url, subject))["config"] for subject in subjects]

    names, configs = asyncio.run(test())
    assert sorted(names) == ["billing~0", "billing~1", "billing~2"]
    for partition, found in enumerate(configs):
        written = settings("Groups")
        assert {name: found.get(name) for name in written} == {
            name: as_written(name, cell, partition) for name, cell in written.items()
        }


@pytest.mark.parametrize("partitions", [1, 4])
def test_nat_004_the_server_puts_the_partition_of_the_key_into_the_subject(nats, partitions):
    async def test():
        topic = await nats.topic(partitions=partitions)
        places: dict[str, set[str]] = {}
        async with nats.broker() as broker:
            for number in range(40):
                key = f"key {number % 10}"
                receipt = await broker.publish(topic, nats.event(number, key))
                stored = await message(nats.url, topic, receipt.position)
                _, _, partition, token, *types = stored.split(".")
                assert (token, types) == (key.replace(" ", "=20"), ["shop", "order", "created"])
                places.setdefault(key, set()).add(partition)
        return places

    places = asyncio.run(test())
    assert all(len(found) == 1 for found in places.values())
    taken = set.union(*places.values())
    assert taken <= {str(partition) for partition in range(partitions)}
    assert len(taken) > 1 or partitions == 1


async def message(url: str, topic: str, position: str) -> str:
    """The subject under which the server keeps a message."""
    stream = f"eventproof~{topic.replace(' ', '=20')}"
    async with open_link(url, Options()) as link:
        body = msgspec.json.encode({"seq": int(position)})
        reply = await link.request(f"$JS.API.STREAM.MSG.GET.{stream}", body)
    return msgspec.json.decode(reply.data)["message"]["subject"]
