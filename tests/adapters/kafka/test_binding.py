"""What the broker keeps of us is what the binding document says: read from its text, asked of a broker."""

from __future__ import annotations

import asyncio
import re
from hashlib import blake2b

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from eventproof.adapters.kafka import group, naming, questions
from eventproof.adapters.kafka.assignment import PROTOCOL, heard
from eventproof.adapters.kafka.link import open_link
from eventproof.adapters.kafka.options import Options
from eventproof.adapters.kafka.progress import Progress, Touched, decode, encode
from eventproof.adapters.kafka.remarks import Remarks
from eventproof.adapters.policy import Policy
from eventproof.spec.__main__ import HERE
from eventproof.spec.parse import document, table
from tests.adapters.kafka.conftest import PREFIX
from tests.adapters.kafka.test_leave import shared

BINDING = document("bindings/kafka.md", (HERE / "bindings" / "kafka.md").read_text(encoding="utf-8"))
DIGESTS = {
    b'{"ack_timeout":30.0,"backoff":[0.1,1.0,10.0],"max_attempts":null,"dead_letter":null,'
    b'"max_in_flight":64,"types":[],"start":"earliest"}': Policy(),
    b'{"ack_timeout":2.0,"backoff":[],"max_attempts":3,"dead_letter":"dead orders",'
    b'"max_in_flight":1,"types":["a.b.*"],"start":"latest"}': Policy(
        ack_timeout=2,
        backoff=(),
        max_attempts=3,
        dead_letter="dead orders",
        max_in_flight=1,
        types=("a.b.*",),
        start="latest",
    ),
}


def cells(heading: str) -> dict[str, str]:
    """The first two columns of a section's table, without the marks of code."""
    return {row[0].strip("`"): row[1].strip("`") for row in table(BINDING, heading)}


def example() -> str:
    """The text that the document walks through."""
    (found,) = re.findall(r"^```text\n(1 .*)\n```$", BINDING.text, re.MULTILINE)
    return str(found)


def test_kaf_013_a_topic_has_the_settings_of_the_document(kafka):
    async def story():
        topic = await kafka.topic()
        async with open_link(kafka.url, Options()) as link:
            return await questions.configuration(link, naming.topic(PREFIX, topic), written)

    written = cells("Topics")
    assert asyncio.run(story()) == written


def test_kaf_001_and_kaf_003_names_are_those_of_the_document():
    group_id = naming.group(PREFIX, "my-orders", "billing")
    names = [naming.topic(PREFIX, "my-orders"), group_id, naming.transaction(group_id, 3)]
    assert list(cells("Names")) == names


def test_kaf_026_the_text_of_the_document_says_what_the_document_says():
    written = int(example().split()[2], 16)
    waiting = Touched(1, written + 0x7530)
    touched = {10: waiting, 11: waiting, 12: Touched(3, 0, dying=True)}
    policy = group.digest(Policy())
    told = Progress(5, policy, ((7, 9), (13, 25)), touched, 2, Remarks((3, 30)))
    assert decode(5, example()) == told
    assert encode(told, written) == example()


@pytest.mark.parametrize("text", DIGESTS)
def test_kaf_028_the_digest_is_that_of_the_policy_as_json(text):
    assert group.digest(DIGESTS[text]) == blake2b(text, digest_size=8).hexdigest()


def test_kafkas_tools_can_read_who_the_members_are_and_what_they_own(kafka):
    async def story():
        topic = await kafka.topic(partitions=3)
        name, group_id = naming.topic(PREFIX, topic), naming.group(PREFIX, topic, "g")
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
        await admin.start()
        try:
            async with (
                kafka.broker(name="billing 7") as broker,
                broker.subscribe(topic, group="g") as session,
            ):
                await shared(session, 3)
                (answer,) = await admin.describe_consumer_groups([group_id])
        finally:
            await admin.close()
        ((code, found, state, kind, protocol, members),) = (one[:6] for one in answer.groups)
        assert (code, found, state) == (0, group_id, "Stable")
        assert (kind, protocol) == ("consumer", PROTOCOL)
        ((_, client, _, metadata, assignment),) = (one[:5] for one in members)
        assert client == "billing 7"
        assert heard(metadata).owned == ()
        assert name.encode() in assignment

    asyncio.run(story())
