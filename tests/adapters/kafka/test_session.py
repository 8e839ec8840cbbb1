from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

import pytest

from eventproof.adapters.errors import LeaseExpired, Rejected, SessionLost
from eventproof.adapters.kafka import remove
from eventproof.adapters.policy import Policy

FAST = Policy(backoff=(0.02,))
QUICK = {"session_timeout": 1.0}


async def consume(kafka, session, seen, fails, until):
    """A member that fails each event of `fails` once, until the group saw the number `until` of acks."""
    while len(seen) < until:
        try:
            delivery = await kafka.next(session, 0.2)
        except asyncio.TimeoutError:
            continue
        event = delivery.event
        if event.data in fails:
            fails.discard(event.data)
            await delivery.nack()
        else:
            seen.append((event.key, event.data))
            await delivery.ack()


@pytest.mark.parametrize("tasks", [1, 8])
def test_ord_005_keys_stay_in_order_over_partitions_and_retries(kafka, tasks):
    async def story():
        topic = await kafka.topic(partitions=4)
        number, keys = 200, 10
        async with kafka.broker() as broker:
            for n in range(number):
                await broker.publish(topic, kafka.event(n, f"key {n % keys}"))
            seen, fails = [], set(range(0, number, 7))
            async with broker.subscribe(topic, group="g", policy=FAST) as session:
                await asyncio.gather(*(consume(kafka, session, seen, fails, number) for _ in range(tasks)))
                await kafka.nothing(session)
        by_key = defaultdict(list)
        for key, data in seen:
            by_key[key].append(data)
        assert {key: sorted(data) for key, data in by_key.items()} == by_key
        assert sorted(data for _, data in seen) == list(range(number))
        assert not fails

    asyncio.run(story())


def test_an_event_waits_for_the_one_before_it_of_its_key_alone(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            for n, key in enumerate(["a", "a", "b", "a", None, None]):
                await broker.publish(topic, kafka.event(n, key))
            held = [await kafka.next(session) for _ in range(4)]
            assert [delivery.event.data for delivery in held] == [0, 2, 4, 5]
            await kafka.nothing(session)
            await held[0].nack(delay=0.4)
            await kafka.nothing(session)
            again = await kafka.next(session)
            assert (again.event.data, again.attempt) == (0, 2)
            await again.ack()
            assert [event.data for event in await kafka.take(session, 2)] == [1, 3]

    asyncio.run(story())


def test_flw_001_no_more_are_held_than_the_policy_allows(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        policy = Policy(max_in_flight=3)
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            for n in range(12):
                await broker.publish(topic, kafka.event(n))
            held = [await kafka.next(session) for _ in range(3)]
            waiting = asyncio.ensure_future(session.__anext__())
            await asyncio.wait((waiting,), timeout=0.2)
            assert not waiting.done()
            await held[1].nack(delay=5)
            await kafka.next(waiting_for(waiting))

    asyncio.run(story())


def waiting_for(task):
    """A session whose next delivery is that of the task."""

    class Once:
        async def __anext__(self):
            return await task

    return Once()


def test_grp_001_each_group_gets_every_event_and_dur_002_a_late_one_from_the_start(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        async with kafka.broker() as broker:
            async with broker.subscribe(topic, group="early") as session:
                for n in range(5):
                    await broker.publish(topic, kafka.event(n, "k"))
                assert [event.data for event in await kafka.take(session, 5)] == [0, 1, 2, 3, 4]
            async with broker.subscribe(topic, group="late") as session:
                assert [event.data for event in await kafka.take(session, 5)] == [0, 1, 2, 3, 4]
            async with broker.subscribe(topic, group="early") as session:
                await kafka.nothing(session)

    asyncio.run(story())


def test_kaf_029_dur_001_latest_begins_at_the_first_subscribe_and_dur_003_stays_there(kafka):
    async def story():
        topic = await kafka.topic(partitions=3)
        policy = Policy(start="latest")
        async with kafka.broker() as broker:
            await broker.publish(topic, kafka.event(0))
            async with broker.subscribe(topic, group="g", policy=policy):
                pass
            for n in range(1, 7):
                await broker.publish(topic, kafka.event(n))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                assert sorted(event.data for event in await kafka.take(session, 6)) == [1, 2, 3, 4, 5, 6]
                await kafka.nothing(session)

    asyncio.run(story())


def test_dlv_002_a_filter_takes_exact_types_and_all_below_a_dot(kafka):
    types = ["shop.order.created", "shop.order", "shop.ordering.x", "shop.user.x", "shop.user.x.y", "other"]

    async def story():
        topic = await kafka.topic(partitions=2)
        policy = Policy(types=("shop.order", "shop.user.*", "shop.user.x", "other"))
        async with kafka.broker() as broker:
            for n, type_ in enumerate(types):
                await broker.publish(topic, kafka.event(n, "same", type=type_))
            async with broker.subscribe(topic, group="g", policy=policy) as session:
                assert [event.type for event in await kafka.take(session, 4)] == [
                    types[n] for n in (1, 3, 4, 5)
                ]
                await kafka.nothing(session)

    asyncio.run(story())


def test_kaf_028_and_grp_002_another_policy_of_a_group_is_refused(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        async with kafka.broker() as broker:
            async with broker.subscribe(topic, group="g", policy=Policy(ack_timeout=2)):
                pass
            async with broker.subscribe(topic, group="g", policy=Policy(ack_timeout=2.0)):
                pass
            for other in (
                Policy(),
                Policy(ack_timeout=2, max_in_flight=3),
                Policy(ack_timeout=2, start="latest"),
            ):
                with pytest.raises(Rejected, match="conflict"):
                    async with broker.subscribe(topic, group="g", policy=other):
                        pass

    asyncio.run(story())


def test_kaf_028_and_grp_002_of_two_first_members_with_two_policies_one_is_refused(kafka):
    async def story():
        topic = await kafka.topic(partitions=4)
        both, outcomes = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None, []

        async def join(policy):
            async with kafka.broker(**QUICK) as broker:
                if both is not None:
                    await both.wait()
                try:
                    async with broker.subscribe(topic, group="g", policy=policy):
                        outcomes.append("in")
                        await asyncio.sleep(0.3)
                except Rejected as refused:
                    outcomes.append(refused.kind)

        await asyncio.gather(join(Policy(ack_timeout=2)), join(Policy(ack_timeout=3)))
        assert sorted(outcomes) == ["conflict", "in"]

    asyncio.run(story())


def test_kaf_029_members_may_join_at_the_same_time(kafka):
    async def story():
        topic = await kafka.topic(partitions=4)

        async def join():
            async with kafka.broker() as broker, broker.subscribe(topic, group="g"):
                pass

        await asyncio.gather(*(join() for _ in range(6)))

    asyncio.run(story())


def test_a_topic_that_is_not_there_is_refused_also_for_dead_letters(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker:
            for name, policy in [("nowhere", Policy()), (topic, Policy(dead_letter="nowhere"))]:
                with pytest.raises(Rejected, match="no-topic"):
                    async with broker.subscribe(name, group="g", policy=policy):
                        pass

    asyncio.run(story())


def test_adp_006_a_cancelled_wait_loses_nothing(kafka):
    async def story():
        topic = await kafka.topic(partitions=2)
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            seen = []
            for n in range(60):
                waits = [asyncio.ensure_future(session.__anext__()) for _ in range(3)]
                publishing = asyncio.ensure_future(broker.publish(topic, kafka.event(n)))
                await asyncio.sleep(0.0003 * n)
                for wait in waits:
                    wait.cancel()
                for outcome in await asyncio.gather(*waits, return_exceptions=True):
                    if not isinstance(outcome, BaseException):
                        seen.append(outcome.event.data)
                        await outcome.ack()
                await publishing
            seen += [event.data for event in await kafka.take(session, 60 - len(seen))]
            assert sorted(seen) == list(range(60))

    asyncio.run(story())


def test_once_it_is_left_or_closed_each_wait_raises(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker:
            async with broker.subscribe(topic, group="g") as session:
                waiting = asyncio.ensure_future(session.__anext__())
                await asyncio.sleep(0)
            for wait in (waiting, session.__anext__()):
                with pytest.raises(SessionLost):
                    await wait
            closed = broker.subscribe(topic, group="g")
            session = await closed.__aenter__()
        with pytest.raises(SessionLost):
            await kafka.next(session)
        await closed.__aexit__(None, None, None)

    asyncio.run(story())


def test_adp_002_the_end_of_the_topic_is_announced(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            await broker.publish(topic, kafka.event(1))
            await kafka.take(session, 1)
            await remove(kafka.url, topic)
            with pytest.raises(SessionLost, match="no-topic"):
                await kafka.next(session, 10)

    asyncio.run(story())


def test_flw_002_what_expired_is_not_delivered(kafka):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            await broker.publish(topic, kafka.event(1, extensions={"expirytime": "2020-01-01T00:00:00Z"}))
            await broker.publish(topic, kafka.event(2, extensions={"expirytime": "2999-01-01T00:00:00Z"}))
            assert [event.data for event in await kafka.take(session, 1)] == [2]
            await kafka.nothing(session)

    asyncio.run(story())


@pytest.mark.parametrize(("window", "handed_out"), [(120.0, [1, 2, 3]), (0.0, [1, 2, 2, 3])])
def test_kaf_038_and_dup_005_a_second_copy_within_the_window_is_not_handed_out(kafka, window, handed_out):
    async def story():
        topic = await kafka.topic()
        async with kafka.broker(window=window) as broker:
            async with broker.subscribe(topic, group="g") as session:
                for n in (1, 2):
                    await broker.publish(topic, kafka.event(n, "k"))
                seen = await kafka.take(session, 2)
            await broker.publish(topic, kafka.event(2, "k"))
            await broker.publish(topic, kafka.event(3, "k"))
            async with broker.subscribe(topic, group="g") as session:
                seen += await kafka.take(session, len(handed_out) - 2)
                await kafka.nothing(session)
        assert [event.data for event in seen] == handed_out

    asyncio.run(story())


@pytest.mark.parametrize("another_member", [False, True])
def test_kaf_040_and_red_001_what_expired_unseen_does_not_stand_for_its_repetition(kafka, another_member):
    async def story():
        topic = await kafka.topic()
        past = {"expirytime": "2020-01-01T00:00:00Z"}
        async with kafka.broker() as broker:
            await broker.publish(topic, kafka.event(1, "k", extensions=past))
            await broker.publish(topic, kafka.event(2, "k"))
            if another_member:
                async with broker.subscribe(topic, group="g") as session:
                    assert [event.data for event in await kafka.take(session, 1)] == [2]
            await broker.publish(topic, kafka.event(1, "k"))
            await broker.publish(topic, kafka.event(1, "k"))
            async with broker.subscribe(topic, group="g") as session:
                taken = [event.data for event in await kafka.take(session, 1 if another_member else 2)]
                assert taken == ([1] if another_member else [2, 1])
                await kafka.nothing(session)

    asyncio.run(story())


def test_records_that_are_no_events_to_the_group_do_not_hold_up_its_place(kafka):
    async def story():
        topic = await kafka.topic()
        policy = Policy(types=("wanted",))
        async with kafka.broker() as broker, broker.subscribe(topic, group="g", policy=policy) as session:
            for n in range(300):
                await broker.publish(topic, kafka.event(n, type="unwanted"))
            await broker.publish(topic, kafka.event(300, type="wanted"))
            assert [event.data for event in await kafka.take(session, 1)] == [300]
            assert session._committer.accounts[0].ledger.offset == 301

    asyncio.run(story())


def test_adp_002_a_record_that_the_client_cannot_read_ends_the_session_with_a_reason(kafka, monkeypatch):
    """A header whose name is not UTF-8: each read of its partition raises, for ever."""

    async def getmany(*_, **__):
        return b"\xff".decode()

    async def story():
        topic = await kafka.topic()
        async with kafka.broker() as broker, broker.subscribe(topic, group="g") as session:
            monkeypatch.setattr(session._intake._consumer, "getmany", getmany)

            async def going_on():
                while True:  # one read is under way already
                    await broker.publish(topic, kafka.event())
                    delivery = await kafka.next(session)
                    with suppress(LeaseExpired):  # the session may end before its ack
                        await delivery.ack()

            with pytest.raises(SessionLost, match="cannot be read"):
                await going_on()

    asyncio.run(story())
