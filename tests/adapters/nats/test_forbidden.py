"""What a user may not do is said in the server's words, and nothing that took effect is called refused."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from eventproof.adapters.errors import Indeterminate, Rejected, SessionLost, Unreachable
from eventproof.adapters.nats import connect, provision
from eventproof.adapters.nats.core import connect as core_connect
from eventproof.adapters.nats.permissions import permissions
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Receipt
from eventproof.conformance.targets.nats import NatsTarget
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.schemas.event import Event

POLICY = Policy(max_attempts=2, dead_letter="dead", backoff=(0.05,))
INBOX = "_INBOX_me"
PUBLISHER = permissions("publisher", inbox=INBOX, topics=["orders"]).publish
CONSUMER = permissions("consumer", inbox=INBOX, topics=["orders"], dead_letters=["dead"]).publish


def permitted(publish, subscribe=(f"{INBOX}.>",)):
    return {"publish": list(publish), "subscribe": list(subscribe)}


class Guarded(NatsServer):
    """A server with an administrator and a user `me`, whose permissions can be changed while it runs."""

    def __init__(self, permissions):
        super().__init__(extra="include users.conf\n")
        self.permit(permissions)

    def permit(self, permissions, password="mine"):
        me = {"user": "me", "password": password, "permissions": permissions}
        users = [{"user": "admin", "password": "admin"}, me]
        (self._folder / "users.conf").write_text(f"authorization: {json.dumps({'users': users})}\n")

    def reload(self):
        os.kill(self.pid, signal.SIGHUP)

    def address(self, userinfo):
        return self.url.replace("//", f"//{userinfo}@")


@asynccontextmanager
async def guarded(permissions):
    server = Guarded(permissions)
    try:
        await server.start()
        for topic in ("orders", "dead", "Orders"):
            await provision(server.address("admin:admin"), topic, partitions=2)
        yield server
    finally:
        await server.remove()


def mine(server, **options):
    return connect(server.address("me:mine"), inbox=INBOX, deadline=3.0, **options)


def event(number, **more):
    return Event(source="/tests", type="a.b", id=str(number), data=number, **more)


async def take(session):
    return await asyncio.wait_for(session.__anext__(), 5)


def test_the_least_privileges_suffice():
    async def story():
        both = permitted({*PUBLISHER, *CONSUMER})
        async with guarded(both) as server, mine(server) as broker:
            await broker.publish("orders", event(1))
            await broker.publish("orders", event(2))
            seen = Counter()
            async with broker.subscribe("orders", group="billing", policy=POLICY) as session:
                while len(seen) < 2 or seen["2"] < 2:
                    delivery = await take(session)
                    seen[delivery.event.id] += 1
                    await (delivery.ack() if delivery.event.id == "1" else delivery.nack())
            async with (
                connect(server.address("admin:admin")) as admin,
                admin.subscribe("dead", group="g") as s,
            ):
                assert (await take(s)).event.extensions["dlreason"] == "attempts"

    asyncio.run(story())


def test_a_forbidden_publish_is_refused_at_once_in_the_servers_words():
    async def story():
        async with guarded(permitted(PUBLISHER)) as server, mine(server) as broker:
            start = asyncio.get_running_loop().time()
            with pytest.raises(Rejected) as caught:
                await broker.publish("dead", event(1))
            assert caught.value.kind == "forbidden"
            assert caught.value.detail.startswith('permissions violation for publish to "eventproof.dead.')
            assert asyncio.get_running_loop().time() - start < 1
            await broker.publish("orders", event(1))

    asyncio.run(story())


def test_of_many_at_once_the_forbidden_ones_alone_are_refused():
    """Also where subjects differ in case alone, which the client library does not tell."""

    async def story():
        async with guarded(permitted(PUBLISHER)) as server, mine(server) as broker:
            topics = ["orders", "Orders", "dead", "Orders", "orders"] * 20
            key = {"partitionkey": "k"}
            start = asyncio.get_running_loop().time()
            outcomes = await asyncio.gather(
                *(broker.publish(topic, event(n, extensions=key)) for n, topic in enumerate(topics)),
                return_exceptions=True,
            )
            assert asyncio.get_running_loop().time() - start < 2
            refused = [getattr(outcome, "kind", None) == "forbidden" for outcome in outcomes]
            assert refused == [topic != "orders" for topic in topics]
            assert broker._link._requests._refusals == {}

    asyncio.run(story())


def test_a_permission_that_is_taken_away_meanwhile_refuses_nothing_that_was_stored():
    async def story():
        async with guarded(permitted(PUBLISHER)) as server:
            outcomes = {}

            async def publish(number):
                try:
                    await broker.publish("orders", event(number, extensions={"partitionkey": "k"}))
                except Rejected as refusal:
                    outcomes[number] = refusal.kind
                else:
                    outcomes[number] = "stored"

            async with mine(server) as broker:
                server.permit(permitted(PUBLISHER[:-1]))
                number = 0
                while "forbidden" not in outcomes.values():
                    if number == 200:
                        server.reload()
                    await asyncio.gather(*(publish(n) for n in range(number, number + 50)))
                    number += 50
            stored = await numbers(server)
            assert stored == {n for n, outcome in outcomes.items() if outcome == "stored"}
            assert set(outcomes.values()) == {"stored", "forbidden"}

    asyncio.run(asyncio.wait_for(story(), 30))


async def numbers(server):
    """The events that the topic has stored."""
    target = NatsTarget()
    async with target.start(server.address("admin:admin")) as url, connect(url) as broker:
        found = set()
        async with broker.subscribe("orders", group="all") as session:
            while True:
                counters = await target.idle("orders", "all")
                if not counters["pending"] + counters["in_flight"]:
                    return found
                delivery = await take(session)
                await delivery.ack()
                found.add(delivery.event.data)


def test_without_a_permission_for_answers_there_is_no_connection_and_the_option_is_named():
    async def story():
        async with guarded(permitted(PUBLISHER)) as server:
            start = asyncio.get_running_loop().time()
            with pytest.raises(Unreachable) as caught:
                async with connect(server.address("me:mine")):
                    pass
            assert asyncio.get_running_loop().time() - start < 1
            assert 'permissions violation for subscription to "_inbox.' in str(caught.value)
            assert "(the option inbox says where answers go)" in str(caught.value)

    asyncio.run(story())


def test_without_a_permission_for_jetstream_there_is_no_connection():
    async def story():
        async with guarded(permitted(PUBLISHER[1:])) as server:
            with pytest.raises(Unreachable, match=r'permissions violation for publish to "\$JS\.API\.INFO"'):
                async with mine(server):
                    pass

    asyncio.run(story())


def test_a_group_that_may_not_fetch_ends_its_session_and_says_why():
    async def story():
        allowed = [subject for subject in CONSUMER if "NEXT" not in subject]
        async with (
            guarded(permitted(allowed)) as server,
            mine(server) as broker,
            broker.subscribe("orders", group="billing", policy=POLICY) as session,
        ):
            with pytest.raises(SessionLost, match=r"permissions violation for publish to .*msg\.next"):
                await take(session)

    asyncio.run(story())


def test_a_group_that_may_not_settle_is_told_so_by_each_settlement():
    async def story():
        allowed = [subject for subject in CONSUMER if "ACK" not in subject]
        async with guarded(permitted({*allowed, *PUBLISHER})) as server, mine(server) as broker:
            await broker.publish("orders", event(1))
            async with broker.subscribe("orders", group="billing", policy=POLICY) as session:
                delivery = await take(session)
                for verb in (delivery.extend(), delivery.ack(), delivery.reject("bad"), delivery.nack()):
                    with pytest.raises(Rejected, match=r'forbidden: permissions violation .*"\$JS\.ACK'):
                        await verb

    asyncio.run(story())


def test_a_user_who_is_shut_out_while_connected_is_told_why():
    async def story():
        both = permitted({*PUBLISHER, *CONSUMER})
        async with guarded(both) as server, mine(server) as broker:
            async with broker.subscribe("orders", group="billing", policy=POLICY) as session:
                waiting = asyncio.ensure_future(take(session))
                await broker.publish("dead", event(1))
                server.permit(both, password="changed")
                server.reload()
                with pytest.raises(SessionLost, match="is closed: authorization failed"):
                    await waiting
            with pytest.raises(Rejected, match="is closed: authorization failed"):
                await broker.publish("orders", event(2))

    asyncio.run(story())


def core(server):
    return core_connect(server.address("me:mine"), inbox=INBOX, prefix="eventproof", deadline=3.0)


def test_without_jetstream_a_forbidden_publish_is_refused_and_no_other():
    async def story():
        allowed = permissions("core-publisher", prefix="eventproof", inbox=INBOX, topics=["orders"])
        async with guarded(permitted(allowed.publish)) as server, core(server) as broker:
            with pytest.raises(Rejected, match="forbidden: permissions violation for publish to "):
                await broker.publish("dead", event(1))
            key = {"partitionkey": "k"}
            topics = ["orders", "dead"] * 50
            outcomes = await asyncio.gather(
                *(broker.publish(topic, event(n, extensions=key)) for n, topic in enumerate(topics)),
                return_exceptions=True,
            )
            for topic, outcome in zip(topics, outcomes, strict=True):
                if topic == "orders":
                    assert isinstance(outcome, Receipt)
                else:  # several at once: which of them was refused is not told
                    assert isinstance(outcome, (Rejected, Indeterminate))
                    assert "permissions violation for publish" in str(outcome)

    asyncio.run(story())


def test_without_jetstream_what_was_taken_is_never_called_refused():
    """Also where subjects differ in case alone, which the client library does not tell."""

    async def story():
        allowed = permissions("core-publisher", prefix="eventproof", inbox=INBOX, topics=["orders"])
        async with guarded(permitted(allowed.publish)) as server, core(server) as broker:
            key = {"partitionkey": "k"}
            topics = ["Orders", "orders", "orders", "Orders", "orders"] * 20
            outcomes = await asyncio.gather(
                *(broker.publish(topic, event(n, extensions=key)) for n, topic in enumerate(topics)),
                return_exceptions=True,
            )
            taken = [outcome for topic, outcome in zip(topics, outcomes, strict=True) if topic == "orders"]
            assert not [outcome for outcome in taken if isinstance(outcome, Rejected)]
            refused = [outcome for topic, outcome in zip(topics, outcomes, strict=True) if topic == "Orders"]
            assert not [outcome for outcome in refused if isinstance(outcome, Receipt)]
            assert broker._link._requests._refusals == {}

    asyncio.run(story())


def test_without_jetstream_a_forbidden_subscription_is_refused():
    async def story():
        allowed = permissions("core-consumer", prefix="eventproof", inbox=INBOX, topics=["orders"])
        async with (
            guarded(permitted(allowed.publish, allowed.subscribe)) as server,
            core(server) as broker,
        ):
            latest = Policy(start="latest")
            async with broker.subscribe("orders", group="g", policy=latest):
                pass
            with pytest.raises(Rejected, match="forbidden: permissions violation for subscription to"):
                async with broker.subscribe("Dead", group="g", policy=latest):
                    pass

    asyncio.run(story())
