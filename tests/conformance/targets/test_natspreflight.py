"""What a server that is not ours allows is known before the first write, and each refusal says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from eventproof.adapters.errors import EventproofError, InvalidOption, Unreachable
from eventproof.adapters.nats.permissions import Permissions, permissions
from eventproof.conformance.demand import demand
from eventproof.conformance.suite import LARGEST
from eventproof.conformance.targets.nats import NatsTarget
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.conformance.targets.visit import Caps, NotReady, Terms, Visit
from tests.conformance.somebodys import somebodys
from tests.conformance.targets.proxy import proxy

NAMESPACE = "eventproof-test"
DEMAND = demand(LARGEST)
ADMIN = "admin:p@"


def account(jetstream: str) -> type[NatsServer]:
    """A server whose one account has that much of JetStream."""
    config = f"accounts {{{{ A {{{{ {jetstream}, users: [{{{{user: admin, password: p}}}}] }}}} }}}}\n"
    return type("Limited", (NatsServer,), {"config": NatsServer.config + config})


async def terms_at(url: str, caps: Caps = Caps(), **options: Any) -> Terms:  # noqa: B008 - frozen
    target = NatsTarget()
    visit = Visit(url=url, namespace=NAMESPACE, caps=caps, options=options)
    async with target.visit(visit):
        return await target.preflight(visit, DEMAND)


def terms(kind: type[NatsServer] = NatsServer, user: str = "", caps: Caps = Caps(), **options: Any) -> Terms:  # noqa: B008
    """The preflight on a server of that kind, on which it leaves nothing."""

    async def story() -> Terms:
        async with somebodys(kind, user, populated=False) as theirs:
            try:
                return await terms_at(theirs.url.replace("://", f"://{user}"), caps, **options)
            finally:
                assert await theirs.streams() == []

    return asyncio.run(story())


def limits(streams: int = -1, consumers: int = -1, store: str = "1G", more: str = "") -> str:
    given = f"max_store: {store}, max_streams: {streams}, max_consumers: {consumers}{more}"
    return f"jetstream: {{{{ {given} }}}}"


def test_a_server_without_limits_takes_what_the_caps_allow() -> None:
    found = terms(caps=Caps(at_once=7))
    assert (found.at_once, found.notes) == (7, ())
    assert found.creates[0] == f"up to {7 * DEMAND.topics} streams at once: {NAMESPACE}~*"
    assert str(permissions("suite", prefix=NAMESPACE, inbox=f"_INBOX.{NAMESPACE}")) in found.permissions


def test_fewer_streams_let_fewer_scenarios_run_at_once() -> None:
    found = terms(account(limits(streams=DEMAND.topics * 3 + 1)), ADMIN)
    assert found.at_once == 3
    assert found.notes == (
        f"3 scenarios at once, not 16: the account may have {DEMAND.topics * 3 + 1} more streams",
    )
    assert found.creates[0].startswith(f"up to {3 * DEMAND.topics} streams")


@pytest.mark.parametrize(
    ("jetstream", "says"),
    [
        (limits(streams=3), "may have 3 more streams, and a scenario needs 4: free some"),
        (limits(consumers=8), "may have 8 consumers, and the run needs 9: use an account that may"),
        (
            limits(store="1M"),
            "has 1000000 bytes left, and the run may store 67108864: .* smaller --max-bytes",
        ),
        (limits(more=", max_bytes_required: true"), "wants a size for each stream"),
        ("exports: []", "has no JetStream for us"),
    ],
)
def test_an_account_that_is_too_small_is_refused(jetstream: str, says: str) -> None:
    with pytest.raises((NotReady, Unreachable), match=says) as refused:
        terms(account(jetstream), ADMIN)
    assert "\n" not in str(refused.value)


def test_a_smaller_cap_fits_into_a_smaller_account() -> None:
    assert terms(account(limits(store="1M")), ADMIN, Caps(max_bytes=900_000)).at_once == 16


@pytest.mark.parametrize(("version", "taken"), [("2.9.25", False), ("2.10.0", True), ("3.0.0", True)])
def test_an_old_server_is_refused(version: str, taken: bool) -> None:
    def greeting(data: bytes) -> bytes:
        return data.replace(b'"version":"2.15.1"', f'"version":"{version}"'.encode())

    async def story() -> Terms:
        async with somebodys(populated=False) as theirs, proxy(theirs.url, answers=greeting) as url:
            return await terms_at(url)

    if taken:
        assert asyncio.run(story()).at_once == 16
    else:
        with pytest.raises(NotReady, match=r"the server is NATS 2\.9\.25: use 2\.10 or newer"):
            asyncio.run(story())


@pytest.mark.parametrize("subjects", [">", f"{NAMESPACE}.>", f"{NAMESPACE}.x"])
def test_streams_that_would_take_our_events_are_refused(subjects: str) -> None:
    async def story() -> None:
        async with somebodys(populated=False) as theirs:
            config = {"name": "THEIRS", "subjects": [subjects], "no_ack": subjects == ">"}
            assert "error" not in await theirs.ask("STREAM.CREATE.THEIRS", config)
            before = await theirs.snapshot()
            with pytest.raises(
                NotReady, match=r"overlap with those of the stream THEIRS: give another --namesp"
            ):
                await terms_at(theirs.url)
            if subjects != ">":  # that one takes all there is, also what the snapshot asks
                assert await theirs.snapshot() == before

    asyncio.run(story())


def test_what_an_earlier_run_left_is_refused() -> None:
    async def story() -> None:
        async with somebodys(populated=False) as theirs:
            target = NatsTarget()
            visit = Visit(url=theirs.url, namespace=NAMESPACE)
            async with target.visit(visit):
                for number in range(3):
                    await target.provision(f"{NAMESPACE}-1-t{number}", partitions=1, window=None)
                assert sorted(await target.present()) == [f"{NAMESPACE}-1-t{number}" for number in range(3)]
                with pytest.raises(NotReady, match=f"left 3 streams of the namespace {NAMESPACE}"):
                    await target.preflight(visit, DEMAND)

    asyncio.run(story())


def test_a_server_with_more_streams_than_one_answer_names_is_looked_at_whole() -> None:
    async def story() -> None:
        async with somebodys(populated=False) as theirs:
            target = NatsTarget()
            names = {f"{NAMESPACE}-{number}-t0" for number in range(1100)}
            async with target.visit(Visit(url=theirs.url, namespace=NAMESPACE)):
                await asyncio.gather(*(target.provision(n, partitions=1, window=None) for n in names))
                assert set(await target.present()) == names

    asyncio.run(story())


# permissions


def user(name: object, allowed: Permissions) -> str:
    return f'{{user: "{name}", password: "p", {allowed}}}'.replace("{", "{{").replace("}", "}}")


def without(found: Permissions, lacking: str) -> Permissions:
    return Permissions(tuple(s for s in found.publish if s != lacking), found.subscribe)


ALL = permissions("suite", prefix=NAMESPACE, inbox=f"_INBOX.{NAMESPACE}")
USERS: Mapping[str, Permissions] = {
    "whole": ALL,
    "deaf": Permissions(ALL.publish, ("nothing",)),
    **{f"u{number}": without(ALL, subject) for number, subject in enumerate(ALL.publish)},
}


class Strict(NatsServer):
    config = (
        NatsServer.config
        + "authorization {{ users: [\n"
        + "\n".join(
            ["{{user: admin, password: p}}", *(user(name, allowed) for name, allowed in USERS.items())]
        )
        + "\n] }}\n"
    )


def test_each_permission_that_the_run_needs_is_missed_before_it() -> None:
    async def found(url: str, name: str) -> object:
        try:
            return await terms_at(url.replace("://", f"://{name}:p@"), deadline=1.0)
        except EventproofError as problem:
            return problem

    async def story() -> dict[str, object]:
        async with somebodys(Strict, ADMIN, populated=False) as theirs:
            each = await asyncio.gather(*(found(theirs.url, name) for name in USERS))
            assert await theirs.streams() == []
            return dict(zip(USERS, each, strict=True))

    outcomes = asyncio.run(story())
    assert isinstance(outcomes.pop("whole"), Terms)
    assert isinstance(outcomes.pop("deaf"), NotReady)
    for (name, outcome), subject in zip(outcomes.items(), ALL.publish, strict=True):
        assert isinstance(outcome, NotReady), (name, subject, outcome)
        assert subject.partition("*")[0].rstrip(">.") in str(outcome)
        assert f"eventproof permissions nats --namespace {NAMESPACE}" in str(outcome)


# options and ticks


def test_the_namespace_is_the_prefix() -> None:
    with pytest.raises(InvalidOption, match="is the --namespace"):
        terms(prefix="mine")


def test_an_inbox_may_be_given() -> None:
    assert "answers on mine.>" in terms(inbox="mine").creates


def test_a_tick_is_longer_on_a_long_way() -> None:
    async def story() -> None:
        async with somebodys(populated=False) as theirs, proxy(theirs.url, delay=0.05) as url:
            target = NatsTarget()
            async with target.visit(Visit(url=url, namespace=NAMESPACE)):
                assert 1.0 <= target.tick < 1.5
                assert target.options["forget_groups_after"] == 3600
            assert target.tick == 0.25
            async with target.visit(Visit(url=theirs.url, namespace=NAMESPACE)):
                assert target.tick == 0.25

    asyncio.run(story())
