"""Our adapters as drivers: what `python -m eventproof.conformance.driver` keeps (DRV-001 to 009)."""

from __future__ import annotations

import asyncio
import json
import signal
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from eventproof import schemas
from eventproof.adapters.connect import UnknownAdapter
from eventproof.adapters.errors import (
    AlreadySettled,
    Indeterminate,
    InvalidOption,
    LeaseExpired,
    Rejected,
    Unsupported,
)
from eventproof.adapters.policy import Policy
from eventproof.conformance.driver.broker import AdapterRaised
from eventproof.conformance.driver.lines import PROTOCOL
from eventproof.schemas import structured
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import Event
from eventproof.schemas.validation import problems, validator
from tests.conformance.driver.drivers import EVENT, PRINTS, SERVED, connected, raw, settled

DOCUMENT = json.loads(structured.encode(EVENT))
SETTLES: dict[str, dict[str, Any]] = {"ack": {}, "nack": {}, "reject": {"reason": "why not"}, "extend": {}}


# DRV-001


def test_drv_001_the_handshake_answers_with_the_version() -> None:
    async def work() -> None:
        async with raw() as driver:
            told = await driver.asked(id=7, do="hello", protocol=1)
            assert (told["id"], told["outcome"], told["protocol"]) == (7, "ok", PROTOCOL)
            assert told["name"] == "eventproof"
            assert set(told["versions"]) == {"eventproof", "python"}

    asyncio.run(work())


def test_drv_001_another_version_is_refused_and_so_is_what_comes_before_the_handshake() -> None:
    async def work() -> None:
        async with raw() as driver:
            early = await driver.asked(id=1, do="start", connection=1, url="memory://", options={})
            assert (early["outcome"], early["kind"]) == ("rejected", "invalid")
            other = await driver.asked(id=2, do="hello", protocol=2)
            assert (other["outcome"], other["kind"]) == ("rejected", "protocol")
            await driver.greeted()

    asyncio.run(work())


# DRV-002, DRV-003


WRONG: list[dict[str, Any]] = [
    {"do": "sing"},
    {"do": "ack"},
    {"do": "ack", "delivery": 99},
    {"do": "ack", "delivery": "1"},
    {"do": "next", "subscription": 99, "timeout": 0.0},
    {"do": "next", "subscription": 1, "timeout": -1.0},
    {"do": "unsubscribe", "subscription": 99},
    {"do": "close", "connection": 99},
    {"do": "start", "connection": 1, "url": "memory://", "options": {}},
    {"do": "publish", "connection": 99, "topic": "t", "event": DOCUMENT},
    {"do": "publish", "connection": 1, "topic": "t", "event": {"id": "1"}},
    {"do": "publish", "connection": 1, "topic": "t", "event": "1"},
    {"do": "subscribe", "connection": 1, "subscription": 1, "topic": "t", "group": "g", "policy": {}},
    {
        "do": "subscribe", "connection": 1, "subscription": 2, "topic": "t", "group": "g",
        "policy": {"ack_timeout": -1},
    },
]  # fmt: skip


def test_drv_002_each_request_is_answered_once_the_wrong_ones_included() -> None:
    async def work() -> None:
        async with raw() as driver:
            await driver.greeted()
            for number, request in enumerate(WRONG, 10):
                driver.ask(id=number, **request)
            found = [await driver.line() for _ in WRONG]
            assert sorted(answer["id"] for answer in found) == list(range(10, 10 + len(WRONG)))
            assert {(answer["outcome"], answer["kind"]) for answer in found} == {
                ("rejected", "invalid"),
                ("rejected", "closed"),
            }
            done = await driver.asked(id=99, do="publish", connection=1, topic="t", event=DOCUMENT)
            assert done["outcome"] == "ok"

    asyncio.run(work())


def test_drv_002_a_line_that_nobody_can_be_answered_ends_the_driver() -> None:
    async def work() -> None:
        async with raw() as driver:
            driver.write(b"hello?\n")
            assert await driver.ended() == 1

    asyncio.run(work())


def test_drv_003_requests_are_answered_while_others_are_open() -> None:
    async def work() -> None:
        async with raw() as driver:
            await driver.greeted()
            driver.ask(id=10, do="next", subscription=1, timeout=30.0)
            await driver.asked(id=11, do="publish", connection=1, topic="t", event=DOCUMENT)
            handed = await driver.line()
            assert handed["id"] == 10
            driver.ask(id=12, do="next", subscription=1, timeout=30.0)
            number = handed["delivery"]["number"]
            for answered, (verb, fields) in enumerate(SETTLES.items(), 20):
                told = await driver.asked(id=answered, do=verb, delivery=number, **fields)
                assert told["id"] == answered
            again = {"connection": 1, "subscription": 2, "topic": "t", "group": "h", "policy": {}}
            assert (await driver.asked(id=30, do="subscribe", **again))["id"] == 30
            assert (await driver.asked(id=31, do="unsubscribe", subscription=2))["id"] == 31
            driver.ask(id=32, do="close", connection=1)
            left = {one["id"]: one["outcome"] for one in (await driver.line(), await driver.line())}
            assert left == {12: "lost", 32: "ok"}

    asyncio.run(work())


def test_drv_002_what_is_left_while_it_is_entered_is_answered_and_not_there() -> None:
    async def work() -> None:
        async with raw() as driver:
            await driver.greeted()
            group = {"connection": 1, "subscription": 2, "topic": "t", "group": "h", "policy": {}}
            driver.ask(id=10, do="subscribe", **group)
            driver.ask(id=11, do="unsubscribe", subscription=2)
            driver.ask(id=12, do="start", connection=2, url="memory://", options={})
            driver.ask(id=13, do="close", connection=2)
            found = [await driver.line() for _ in range(4)]
            assert sorted(answer["id"] for answer in found) == [10, 11, 12, 13]
            for number, verb, given in ((20, "unsubscribe", "subscription"), (21, "close", "connection")):
                told = await driver.asked(id=number, do=verb, **{given: 2})
                assert (told["outcome"], told["kind"]) == ("rejected", "closed")

    asyncio.run(work())


# DRV-004


def test_drv_004_an_adapter_that_prints_breaks_no_line() -> None:
    async def work() -> None:
        async with connected((*SERVED, "--adapter", PRINTS)) as (_, broker):
            assert (await broker.publish("t", EVENT)).position is not None
            async with broker.subscribe("t", group="g") as subscription:
                assert (await subscription.__anext__()).event == EVENT

    asyncio.run(work())


# DRV-005


@pytest.mark.parametrize(
    ("given", "raised", "says"),
    [
        ("rejected", Rejected, "too-large: by far"),
        ("unsupported", Unsupported, "not here"),
        ("indeterminate", Indeterminate, "no answer"),
        ("other", AdapterRaised, "ValueError: somebody else's"),
        ("misplaced", AdapterRaised, "SessionLost"),
    ],
)
def test_drv_005_a_call_has_the_outcome_that_the_adapter_gave_it(
    given: str, raised: type[Exception], says: str
) -> None:
    async def work() -> None:
        async with connected((*SERVED, "--adapter", PRINTS)) as (_, broker):
            event = Event(source="/tests", type="a.b", id=given)
            for call in (broker.publish("t", event), broker.subscribe("t", group=given).__aenter__()):
                found = await settled(call)
                assert type(found) is raised
                assert says in str(found)

    asyncio.run(work())


def test_drv_005_a_settle_has_the_outcome_that_the_adapter_gave_it() -> None:
    async def work() -> None:
        policy = Policy(ack_timeout=0.1, max_in_flight=2)
        async with connected(SERVED) as (_, broker):
            await broker.publish("t", EVENT)
            await broker.publish("t", Event(source="/tests", type="a.b", id="2"))
            async with broker.subscribe("t", group="g", policy=policy) as subscription:
                first = await subscription.__anext__()
                assert isinstance(await settled(first.reject("why not")), Rejected)  # no dead letter
                await first.ack()
                await first.ack()
                assert type(await settled(first.nack())) is AlreadySettled
                second = await subscription.__anext__()
                await second.lost
                assert type(await settled(second.ack())) is LeaseExpired

    asyncio.run(work())


@pytest.mark.parametrize(
    ("url", "options", "raised"),
    [
        ("memory://", {"colour": "red"}, InvalidOption),
        ("carrier-pigeon://", {}, UnknownAdapter),
        ("memory://", {"url": "twice"}, AdapterRaised),
    ],
)
def test_drv_005_a_connection_that_is_refused_says_so(
    url: str, options: dict[str, Any], raised: type[Exception]
) -> None:
    async def work() -> None:
        async with raw() as driver:
            await driver.asked(id=1, do="hello", protocol=1)
            told = await driver.asked(id=2, do="start", connection=1, url=url, options=options)
            kinds = {InvalidOption: "invalid-option", UnknownAdapter: "no-adapter", AdapterRaised: None}
            assert told.get("kind") == kinds[raised]

    async def through_the_port() -> None:
        with pytest.raises(raised):
            async with connected(SERVED, url, **options):
                pass

    asyncio.run(work())
    if "url" not in options:
        asyncio.run(through_the_port())


# DRV-006


def test_drv_006_a_delivery_that_comes_between_two_questions_belongs_to_the_second() -> None:
    async def work() -> None:
        async with raw() as driver:
            await driver.greeted()
            for number in range(10, 60, 5):
                assert (await driver.asked(id=number, do="next", subscription=1, timeout=0.0))[
                    "outcome"
                ] == "empty"
                event = {**DOCUMENT, "id": str(number)}
                await driver.asked(id=number + 1, do="publish", connection=1, topic="t", event=event)
                told = await driver.asked(id=number + 2, do="next", subscription=1, timeout=5.0)
                assert told["delivery"]["event"]["id"] == str(number)
                assert told["delivery"]["attempt"] == 1

    asyncio.run(work())


def test_drv_006_deliveries_that_come_while_questions_end_are_all_answered() -> None:
    async def work() -> None:
        async with raw() as driver:
            await driver.greeted()
            found, number, total = [], 1000, 40
            for call in range(total):
                driver.ask(id=number, do="next", subscription=1, timeout=0.002)
                event = {**DOCUMENT, "id": str(call)}
                driver.ask(id=number + 1, do="publish", connection=1, topic="t", event=event)
                for answer in (await driver.line(), await driver.line()):
                    found += [answer["delivery"]["event"]["id"]] if "delivery" in answer else []
                number += 2
            while len(found) < total:
                number += 1
                answer = await driver.asked(id=number, do="next", subscription=1, timeout=5.0)
                found.append(answer["delivery"]["event"]["id"])
            assert sorted(found, key=int) == [str(call) for call in range(total)]

    asyncio.run(work())


# DRV-007


def test_drv_007_a_lease_that_ran_out_is_told_once_and_not_of_one_that_is_settled() -> None:
    async def work() -> None:
        async with raw() as driver:
            await driver.greeted()
            group = {"topic": "t", "group": "short", "policy": {"ack_timeout": 0.1, "backoff": [60.0]}}
            await driver.asked(id=4, do="subscribe", connection=1, subscription=2, **group)
            for number in (10, 11):
                event = {**DOCUMENT, "id": str(number)}
                await driver.asked(id=number, do="publish", connection=1, topic="t", event=event)
            first, second = [
                (await driver.asked(id=number, do="next", subscription=2, timeout=5.0))["delivery"]["number"]
                for number in (20, 21)
            ]
            assert (await driver.asked(id=30, do="ack", delivery=first))["outcome"] == "ok"
            assert await driver.line() == {"notice": "lost", "delivery": second}
            late = await driver.asked(id=31, do="ack", delivery=second)
            assert (late["outcome"], late["kind"]) == ("rejected", "lease-expired")

    asyncio.run(work())


# DRV-008


def vectors() -> list[Event]:
    """The events of the wire vectors, each once; an expired one would not be delivered, and has no expiry."""
    folder = files(schemas) / "vectors"
    found: list[Event] = []
    for name in ("nats-structured", "nats-binary", "kafka-structured", "kafka-binary"):
        for vector in json.loads((folder / f"{name}.json").read_text(encoding="utf-8")):
            try:
                event = structured.decode(msgspec.json.encode(vector["event"])).without("expirytime")
            except InvalidEvent:  # the message of a vector with an error may have none
                continue
            if event not in found:
                found.append(event)
    return found


def test_drv_008_every_event_comes_back_as_it_was() -> None:
    async def work() -> None:
        async with connected(SERVED) as (_, broker):
            for number, event in enumerate(vectors()):
                await broker.publish(f"t{number}", event)
                async with broker.subscribe(f"t{number}", group="g") as subscription:
                    delivery = await asyncio.wait_for(subscription.__anext__(), 5)
                    assert delivery.event == event
                    assert type(delivery.event.data) is type(event.data)

    assert len(vectors()) > 30
    asyncio.run(work())


# DRV-009


def test_drv_009_the_end_of_the_input_ends_the_driver() -> None:
    async def work() -> None:
        async with raw() as driver:
            await driver.greeted()
            driver.ask(id=10, do="next", subscription=1, timeout=600.0)
            driver.process.stdin.close()
            assert await asyncio.wait_for(driver.process.wait(), 5) == 0

    asyncio.run(work())


def test_drv_009_an_adapter_that_blocks_does_not_keep_the_driver_alive() -> None:
    async def work() -> None:
        async with raw("--adapter", PRINTS) as driver:
            await driver.greeted(block=True)
            driver.process.stdin.close()
            assert await asyncio.wait_for(driver.process.wait(), 6) == 0

    asyncio.run(work())


def test_sigterm_ends_the_driver_in_order() -> None:
    async def work() -> None:
        async with raw() as driver:
            await driver.greeted()
            driver.process.send_signal(signal.SIGTERM)
            assert await driver.ended() == 0

    asyncio.run(work())


# The schema


def test_every_line_is_valid_under_the_schema() -> None:
    async def work() -> list[dict[str, Any]]:
        async with raw() as driver:
            driver.ask(id=1, do="hello", protocol=1)
            driver.ask(id=2, do="start", connection=1, url="memory://", options={})
            said = [await driver.line(), await driver.line()]
            said.append(await driver.asked(id=3, do="publish", connection=1, topic="t", event=DOCUMENT))
            group = {"topic": "t", "group": "g", "policy": {"ack_timeout": 0.05}}
            said.append(await driver.asked(id=4, do="subscribe", connection=1, subscription=1, **group))
            said.append(await driver.asked(id=5, do="next", subscription=1, timeout=5.0))
            said.append(await driver.line())
            said.append(await driver.asked(id=6, do="ack", delivery=1))
            return said

    against = validator("conformance/driver")
    said = asyncio.run(work())
    assert [one.get("outcome", one.get("notice")) for one in said] == [*["ok"] * 5, "lost", "rejected"]
    for one in [*said, {"id": 3, "do": "publish", "connection": 1, "topic": "t", "event": DOCUMENT}]:
        assert problems(against, one) == []
    for wrong in ({"id": 1}, {"id": 1, "outcome": "fine"}, {"id": 1, "do": "sing"}, {"notice": "found"}):
        assert problems(against, wrong)
