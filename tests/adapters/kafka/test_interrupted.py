"""A broker that is killed, frozen or restarted under a session, and dead letters that are interrupted."""

from __future__ import annotations

import asyncio

import pytest

from eventproof.adapters.errors import EventproofError, Indeterminate, LeaseExpired
from eventproof.adapters.kafka.transaction import Transactions
from eventproof.adapters.policy import Policy
from tests.adapters.kafka.conftest import Kafka
from tests.adapters.kafka.test_deadletter import letters

QUICK = {"session_timeout": 1.0}


def now():
    return asyncio.get_running_loop().time()


async def healed(cure):
    if (coming := cure()) is not None:
        await coming


def harms(server):
    return {"killed": (server.kill, server.revive), "frozen": (server.freeze, server.thaw)}


@pytest.mark.parametrize("harm", ["killed", "frozen"])
def test_a_session_goes_on_after_an_outage_and_what_was_acked_stays_so(mortal, harm):
    async def story():
        kafka = Kafka(mortal.url)
        topic = await kafka.topic(f"session {harm}", partitions=2)
        number, keys, seen = 300, 6, []
        do, cure = harms(mortal)[harm]

        async def consume(session):
            while len({data for data, _ in seen}) < number:
                try:
                    delivery = await kafka.next(session, 0.5)
                except asyncio.TimeoutError:
                    continue
                try:
                    await delivery.ack()
                except (Indeterminate, LeaseExpired):
                    seen.append((delivery.event.data, False))
                else:
                    seen.append((delivery.event.data, True))

        async with kafka.broker(deadline=2.0, **QUICK) as broker:
            for n in range(number):
                await broker.publish(topic, kafka.event(n, f"k{n % keys}"))
            policy = Policy(ack_timeout=3, max_in_flight=4)
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                consuming = [asyncio.ensure_future(consume(session)) for _ in range(4)]
                while len(seen) < 50:  # noqa: ASYNC110 - a poll
                    await asyncio.sleep(0.001)
                do()
                await asyncio.sleep(1.5)
                await healed(cure)
                await asyncio.wait_for(asyncio.gather(*consuming), 25)
        assert {data for data, _ in seen} == set(range(number))
        sure = [data for data, sure in seen if sure]
        assert len(sure) == len(set(sure)) > number - 8, "what was acked was handed out again"

    asyncio.run(story())


@pytest.mark.parametrize("harm", ["killed", "frozen"])
def test_a_settle_ends_in_time_while_the_broker_is_gone(mortal, harm):
    async def story():
        kafka = Kafka(mortal.url)
        topic = await kafka.topic(f"settle {harm}")
        do, cure = harms(mortal)[harm]
        async with kafka.broker(deadline=1.0) as broker:
            for n in range(4):
                await broker.publish(topic, kafka.event(n))
            async with broker.subscribe(topic, group="g") as session:
                held = [await kafka.next(session) for _ in range(4)]
                do()
                start = now()
                verbs = [held[0].ack(), held[1].nack(), held[2].extend()]
                outcomes = await asyncio.gather(*verbs, return_exceptions=True)
                assert [type(outcome) for outcome in outcomes] == [Indeterminate] * 3
                assert now() - start < 1.5
                await healed(cure)
                session._committer._deadline = 10.0
                await asyncio.gather(held[0].ack(), held[2].extend(), held[3].ack())

    asyncio.run(story())


@pytest.mark.parametrize("harm", ["killed", "frozen"])
def test_leaving_and_entering_end_in_time_while_the_broker_is_gone(mortal, harm):
    async def story():
        kafka = Kafka(mortal.url)
        topic = await kafka.topic(f"leave {harm}")
        do, cure = harms(mortal)[harm]
        async with kafka.broker(deadline=1.0) as broker:
            async with broker.subscribe(topic, group="g"):
                do()
                start = now()
            assert now() - start < 3.5
            start = now()
            with pytest.raises(Indeterminate):
                async with broker.subscribe(topic, group="g"):
                    pass
            assert now() - start < 3.5
            await healed(cure)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(story())


class Interrupted(Exception):
    """The owner stands still here."""


def stands_still(session, request_, answered, moments):
    """Transactions whose owner, the session, says nothing more from that request on until it may go on."""
    original = Transactions.__dict__["_say"]
    standing, going_on = moments

    async def say(self, node, request):
        mine = session._letters._transactions.get(0) is self
        if not mine or not type(request).__name__.startswith(request_) or standing.is_set():
            return await original(self, node, request)
        answer = await original(self, node, request) if answered else None
        standing.set()
        await going_on.wait()
        return answer if answered else await original(self, node, request)

    return say


@pytest.mark.parametrize("request_", ["AddPartitionsToTxn", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn"])
@pytest.mark.parametrize("answered", [False, True])
def test_kaf_035_kaf_036_kaf_037_and_dlq_004_one_or_none(kafka, monkeypatch, request_, answered):
    """The first owner gets as far as a request, which the broker carries out (answered) or not, and stands
    still while another takes over; then it goes on."""
    moments = standing, going_on = asyncio.Event(), asyncio.Event()

    async def story():
        topic, dead = await kafka.topic(), await kafka.topic()
        policy = Policy(dead_letter=dead, ack_timeout=20)
        async with kafka.broker(**QUICK) as one, kafka.broker(**QUICK) as two:
            for n in range(3):
                await one.publish(topic, kafka.event(n))
            async with one.subscribe(topic, group="g", policy=policy) as first:
                held = [await kafka.next(first) for _ in range(3)]
                await held[0].ack()
                monkeypatch.setattr(Transactions, "_say", stands_still(first, request_, answered, moments))
                rejecting = asyncio.ensure_future(held[1].reject("bad"))
                await standing.wait()
                await first._membership.stop()  # as a process that stands still: it gives no sign of life
                first._committer._task.cancel()
                async with two.subscribe(topic, group="g", policy=policy) as second:
                    while not second._committer.accounts:  # noqa: ASYNC110 - a poll
                        await asyncio.sleep(0.02)
                    ledger = second._committer.accounts[0].ledger
                    died = request_ == "EndTxn" and answered
                    assert ledger.done(1) == died
                    going_on.set()
                    outcome = (await asyncio.gather(rejecting, return_exceptions=True))[0]
                    assert outcome is None if died else isinstance(outcome, EventproofError)
                    found = await letters(kafka, two, dead, int(died))
                    assert [event.data for event, _ in found] == [1] * died
                    assert not ledger.done(2)

    asyncio.run(story())
