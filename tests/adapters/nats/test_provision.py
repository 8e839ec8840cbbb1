"""Topics for service authors, and how long the server keeps what hangs on them."""

from __future__ import annotations

import asyncio
import json

import pytest

from eventproof.adapters.errors import InvalidOption, Rejected
from eventproof.adapters.nats import api, connect, naming, provision, remove
from eventproof.adapters.nats.provision import find
from eventproof.adapters.policy import Policy


def test_nat_007_a_topic_is_never_changed_by_provisioning_it_again(nats):
    async def story():
        topic = await nats.topic(partitions=2)
        assert (await provision(nats.url, topic, partitions=2)).partitions == 2
        for other in (
            {"partitions": 3},
            {"partitions": 2, "window": 7.0},
            {"partitions": 2, "retention": 500.0},
        ):
            with pytest.raises(Rejected, match="conflict"):
                await provision(nats.url, topic, **other)
        await remove(nats.url, topic)
        await remove(nats.url, topic)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"partitions": 0}, "1 partition or more, not 0"),
        ({"replicas": 6}, "1 to 5 servers, not 6"),
        ({"retention": -1.0}, "retention is 0.1 s or more"),
        ({"retention": float("nan")}, "retention is 0.1 s or more"),
        ({"window": 0.0}, "the window is 0.1 s or more"),
        ({"window": 60.0, "retention": 30.0}, "60.0 s is longer than the retention of 30.0 s"),
    ],
)
def test_a_topic_that_cannot_be_is_refused_before_the_server_is_asked(nats, given, problem):
    with pytest.raises(Rejected, match=problem) as refused:
        asyncio.run(provision(nats.url, "none", **given))
    assert refused.value.kind == "invalid"


def test_events_are_kept_for_the_retention_and_the_window_fits_into_it(nats):
    async def story():
        topic = await nats.topic(retention=0.5)
        async with nats.broker() as broker:
            await broker.publish(topic, nats.event(1))
            assert not (await broker.publish(topic, nats.event(2))).duplicate
            assert (await broker.publish(topic, nats.event(2))).duplicate
            await until_empty(broker, topic)
            assert not (await broker.publish(topic, nats.event(2))).duplicate

    asyncio.run(story())


async def until_empty(broker, topic):
    stream = (await find(broker._link, topic)).stream
    while (await api.stream_info(broker._link, stream)).state.messages:  # noqa: ASYNC110 - a poll
        await asyncio.sleep(0.05)


def test_a_group_is_forgotten_only_where_that_was_asked_for(nats):
    async def story():
        topic = await nats.topic()
        async with nats.broker(forget_groups_after=90) as brief, nats.broker() as lasting:
            for broker, group, seconds in ((brief, "brief", 90), (lasting, "lasting", 0)):
                async with broker.subscribe(topic, group=group):
                    pass
                assert await threshold(broker, topic, group) == seconds * api.NANOSECONDS

    asyncio.run(story())


def test_nat_007_a_member_does_not_change_how_long_its_group_lives(nats):
    """What it returns is noted in the consumer that another connection created."""

    async def story():
        topic = await nats.topic()
        policy = Policy(max_in_flight=1)
        async with nats.broker() as lasting, nats.broker(forget_groups_after=90) as brief:
            for number in (1, 2):
                await lasting.publish(topic, nats.event(number))
            async with lasting.subscribe(topic, group="g", policy=policy):
                pass
            async with brief.subscribe(topic, group="g", policy=policy) as session:
                await nats.take(session, 1)
                while not session._intake.ready:  # noqa: ASYNC110 - the second one is fetched ahead
                    await asyncio.sleep(0)
            assert await threshold(lasting, topic, "g") == 0

    asyncio.run(story())


async def threshold(broker, topic, group):
    stream = (await find(broker._link, topic)).stream
    subject = f"$JS.API.CONSUMER.INFO.{stream}.{naming.durable(group, 0)}"
    config = json.loads((await broker._link.request(subject)).data)["config"]
    return config.get("inactive_threshold", 0)


def test_a_group_is_not_forgotten_within_a_reconnect(nats):
    async def story():
        async with connect(nats.url, forget_groups_after=1):
            pass

    with pytest.raises(InvalidOption, match="60 s or more"):
        asyncio.run(story())
