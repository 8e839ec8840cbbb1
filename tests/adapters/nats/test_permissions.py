"""Each role works under exactly the permissions that are printed for it, and not under fewer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count

import msgspec
import pytest

from eventproof.adapters.errors import EventproofError, Rejected
from eventproof.adapters.nats import connect, provision, remove
from eventproof.adapters.nats.core import connect as core_connect
from eventproof.adapters.nats.permissions import Permissions, permissions
from eventproof.adapters.policy import Policy
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.schemas.event import Event

PREFIX, INBOX = "shop", "_INBOX.shop"
TOPIC, DEAD, GONE, MADE = "new orders", "dead", "gone", "made"
POLICY = Policy(dead_letter=DEAD, max_attempts=3, ack_timeout=5)
OTHER_DOMAIN = "$JS.ACK.*.*."  # servers with a domain are not among those started here
NOT_ASKED = ("publisher", "$JS.API.STREAM.INFO.shop~new=20orders")  # only where nothing takes an event
_numbers = count(1)


def permitted(role) -> Permissions:
    named = {
        "publisher": {"topics": (TOPIC, GONE)},
        "consumer": {"topics": (TOPIC,), "dead_letters": (DEAD,)},
        "owner": {"topics": (MADE,)},
        "core-publisher": {"topics": (TOPIC,)},
        "core-consumer": {"topics": (TOPIC,)},
    }
    return permissions(role, prefix=PREFIX, inbox=INBOX, **named[role])


def event() -> Event:
    return Event(source="/shop", type="order.paid", id=str(next(_numbers)), data=1)


async def publishes(url: str) -> None:
    """Also to a topic that is gone, which has to be told from a server that does not answer."""
    async with connected(url) as broker:
        await broker.publish(TOPIC, event())
        await broker.publish(GONE, event())


async def consumes(url: str) -> None:
    async with (
        connected(url) as broker,
        broker.subscribe(TOPIC, group=f"g{next(_numbers)}", policy=POLICY) as group,
    ):
        first = await received(group)
        await first.extend()
        await first.nack(delay=0.01)
        await (await received(group)).reject("why not")
        await (await received(group)).ack()


async def owns(url: str) -> None:
    options = {"prefix": PREFIX, "inbox": INBOX, "deadline": 1.0}
    await provision(url, MADE, partitions=2, **options)
    await remove(url, MADE, **options)


async def publishes_without_jetstream(url: str) -> None:
    async with core(url) as broker:
        await broker.publish(TOPIC, event())


async def consumes_without_jetstream(url: str) -> None:
    policy = Policy(start="latest")
    async with core(url) as broker, broker.subscribe(TOPIC, group="g", policy=policy):
        pass


def core(url: str):
    return core_connect(url, inbox=INBOX, prefix=PREFIX, deadline=1.0)


def connected(url: str):
    return connect(url, prefix=PREFIX, inbox=INBOX, deadline=1.0)


async def received(group):
    return await asyncio.wait_for(group.__anext__(), 2)


WORK = {
    "publisher": publishes,
    "consumer": consumes,
    "owner": owns,
    "core-publisher": publishes_without_jetstream,
    "core-consumer": consumes_without_jetstream,
}
LACKING = [
    (role, subject)
    for role in WORK
    for subject in (*permitted(role).publish, *permitted(role).subscribe)
    if not subject.startswith(OTHER_DOMAIN) and (role, subject) != NOT_ASKED
]


def without(found: Permissions, lacking: str) -> Permissions:
    """The permissions but for one subject; a list that is empty would allow everything."""
    kept = (tuple(s for s in subjects if s != lacking) for subjects in msgspec.structs.astuple(found))
    return Permissions(*(subjects or ("nothing",) for subjects in kept))


def user(name: object, allowed: Permissions | str) -> str:
    return f'{{user: "{name}", password: "p", {allowed}}}'


# One for each role, and one for each role without each of its subjects.
USERS = "\n".join(
    [
        user("admin", ""),
        *(user(role, permitted(role)) for role in WORK),
        *(user(n, without(permitted(role), subject)) for n, (role, subject) in enumerate(LACKING)),
    ]
)


@pytest.fixture(scope="module")
def outcomes() -> Mapping[object, BaseException | None]:
    """What came of each user's work, all of them side by side."""

    async def story() -> dict[object, BaseException | None]:
        server = NatsServer(extra=f"authorization {{ users: [\n{USERS}\n] }}\n")

        def as_user(name: object) -> str:
            return server.url.replace("://", f"://{name}:p@")

        try:
            await server.start()
            await set_up(as_user("admin"))
            users = {**{role: role for role in WORK}, **{n: role for n, (role, _) in enumerate(LACKING)}}
            work = (WORK[role](as_user(name)) for name, role in users.items())
            return dict(zip(users, await asyncio.gather(*work, return_exceptions=True), strict=True))
        finally:
            await server.remove()

    return asyncio.run(story())


async def set_up(url: str) -> None:
    for topic in (TOPIC, DEAD):
        await provision(url, topic, partitions=1, prefix=PREFIX)
    async with connect(url, prefix=PREFIX) as broker:
        for _ in range(2):
            await broker.publish(TOPIC, event())


@pytest.mark.parametrize("role", WORK)
def test_a_role_works_under_exactly_its_permissions(outcomes, role):
    told = "no-topic" if role == "publisher" else None
    assert getattr(outcomes[role], "kind", outcomes[role]) == told


@pytest.mark.parametrize("number", range(len(LACKING)), ids=[" without ".join(lack) for lack in LACKING])
def test_no_permission_is_more_than_the_role_needs(outcomes, number):
    outcome = outcomes[number]
    assert isinstance(outcome, (EventproofError, asyncio.TimeoutError))
    assert getattr(outcome, "kind", "") != "no-topic"


def test_without_topics_the_stream_is_any():
    assert permissions("owner", prefix="a").publish == (
        "$JS.API.STREAM.CREATE.*",
        "$JS.API.STREAM.DELETE.*",
    )


def test_core_nats_has_a_prefix_of_its_own():
    assert permissions("core-consumer").subscribe == ("_INBOX.>", "eventproof-core.>")


def test_a_name_that_no_topic_has_is_refused():
    with pytest.raises(Rejected, match="invalid"):
        permissions("owner", topics=("x" * 300,))


def test_the_suite_may_do_what_the_others_may():
    found = permissions("suite", prefix="a", inbox="b")
    for role in ("publisher", "consumer", "owner"):
        assert set(permissions(role, prefix="a", inbox="b").publish) < set(found.publish)
    assert found.subscribe == ("b.>",)
