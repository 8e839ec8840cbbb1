"""Adapters that hang, raise, lie or stop: the run ends, and the verdict says what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from eventproof.adapters.errors import Indeterminate, Rejected, SessionLost, Unsupported
from eventproof.adapters.port import Receipt
from eventproof.conformance.history.record import History
from tests.conformance.brokers import SMALL, Passing, broken, judged, plugin, run


async def forever() -> Any:
    return await asyncio.get_running_loop().create_future()


def kinds(history: History) -> list[str]:
    return [record.kind for record in history.records]


def history_of(adapter: type[Passing]) -> History:
    """One run, which must end and give back a well-formed history."""
    found = run([SMALL], plugin(adapter))[0]
    assert kinds(found)[-1] == "end"
    return found


class Entered(Passing):
    """Hands each subscription on to `around`."""

    @asynccontextmanager
    async def subscribe(self, topic: str, **given: Any) -> AsyncIterator[Any]:
        async with self.broker.subscribe(topic, **given) as subscription:
            yield self.around(subscription)

    def around(self, subscription: Any) -> Any:
        raise NotImplementedError


class Next:
    """A subscription of which each wait for the next delivery does what it is told."""

    def __init__(self, subscription: Any, wait: Any) -> None:
        self.subscription = subscription
        self.wait = wait

    def __aiter__(self) -> Next:
        return self

    async def __anext__(self) -> Any:
        return await self.wait(self.subscription)


# hangs


class PublishHangs(Passing):
    async def publish(self, topic: str, event: Any) -> Any:
        return await forever()


class PublishIsSlow(Passing):
    """Each publish ends within what a run waits for a call, and all of them together do not."""

    async def publish(self, topic: str, event: Any) -> Any:
        await asyncio.sleep(390)
        return await super().publish(topic, event)


class SubscribeHangs(Passing):
    @asynccontextmanager
    async def subscribe(self, topic: str, **given: Any) -> AsyncIterator[Any]:
        yield await forever()


class NextHangs(Entered):
    def around(self, subscription: Any) -> Any:
        return Next(subscription, lambda _: forever())


class LeavingHangs(Passing):
    @asynccontextmanager
    async def subscribe(self, topic: str, **given: Any) -> AsyncIterator[Any]:
        async with self.broker.subscribe(topic, **given) as subscription:
            yield subscription
        await forever()


class AckHangs(Entered):
    def around(self, subscription: Any) -> Any:
        async def handed(inner: Any) -> Any:
            delivery = await inner.__anext__()
            delivery._settlement = Silent()
            return delivery

        return Next(subscription, handed)


class Silent:
    async def ack(self) -> None:
        await forever()


def test_cnf_002_a_publish_that_never_returns_is_a_hang_and_indeterminate() -> None:
    found = history_of(PublishHangs)
    assert "publish.ok" not in kinds(found)
    assert broken([found]) == {"PUB-004": "hang", "ADP-003": "hang"}


def test_adp_003_a_call_that_is_slow_and_ends_in_time_does_not_hang() -> None:
    """No call is begun when the time for publishing is over, and none is cut short and called hanging."""
    found = history_of(PublishIsSlow)
    assert kinds(found).count("publish.invoke") == kinds(found).count("publish.ok")
    assert broken([found]) == {}


def test_cnf_002_a_next_that_never_returns_is_a_hang() -> None:
    assert broken([history_of(NextHangs)]) == {"DLV-011": "hang"}


def test_cnf_002_a_subscription_that_never_opens_is_a_hang() -> None:
    found = history_of(SubscribeHangs)
    assert "deliver" not in kinds(found)
    assert "drained" not in kinds(found)
    assert broken([found]) == {"ADP-003": "hang"}
    core = [verdict for verdict in judged([found]).values() if verdict.requirement.startswith("DLV")]
    assert {verdict.state for verdict in core} <= {"inconclusive", "not claimed", "not checked", "hang"}


@pytest.mark.parametrize("adapter", [LeavingHangs, AckHangs])
def test_what_never_returns_does_not_stop_the_run(adapter: type[Passing]) -> None:
    assert "deliver" in kinds(history_of(adapter))


def test_cnf_005_what_an_open_ack_holds_up_is_not_called_lost() -> None:
    fallen = broken([history_of(AckHangs)])
    assert "DLV-001" not in fallen
    assert "RED-001" not in fallen


# raises


class PublishRaises(Passing):
    async def publish(self, topic: str, event: Any) -> Any:
        raise LookupError("a client library's own")


class SubscribeRaises(Passing):
    @asynccontextmanager
    async def subscribe(self, topic: str, **given: Any) -> AsyncIterator[Any]:
        raise ConnectionResetError("by peer")
        yield


class LeavingRaises(Passing):
    @asynccontextmanager
    async def subscribe(self, topic: str, **given: Any) -> AsyncIterator[Any]:
        async with self.broker.subscribe(topic, **given) as subscription:
            yield subscription
        raise OSError("while leaving")


class NextRaises(Entered):
    def around(self, subscription: Any) -> Any:
        async def failing(inner: Any) -> Any:
            raise RuntimeError("in the iterator")

        return Next(subscription, failing)


class AckRaises(Entered):
    def around(self, subscription: Any) -> Any:
        async def handed(inner: Any) -> Any:
            delivery = await inner.__anext__()
            delivery._settlement = Broken()
            return delivery

        return Next(subscription, handed)


class Broken:
    async def ack(self) -> None:
        raise ValueError("no such tag")


class ConnectsOnce(Passing):
    made = 0

    def __init__(self, broker: Any) -> None:
        super().__init__(broker)
        type(self).made += 1
        if type(self).made > 1:
            raise ConnectionRefusedError("one is enough")


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        (PublishRaises, "LookupError: a client library's own"),
        (SubscribeRaises, "ConnectionResetError: by peer"),
        (LeavingRaises, "OSError: while leaving"),
        (NextRaises, "RuntimeError: in the iterator"),
        (AckRaises, "ValueError: no such tag"),
        (ConnectsOnce, "ConnectionRefusedError: one is enough"),
    ],
)
def test_adp_001_a_foreign_error_is_recorded_with_its_traceback_and_ends_the_scenario(
    adapter: type[Passing], says: str
) -> None:
    found = history_of(adapter)
    errors = [record.error for record in found.records if record.kind == "adapter.error"]
    assert says in errors[0]
    assert "Traceback" in errors[0]
    assert broken([found]) == {"ADP-001": "fail"}
    assert found.records[-1].t < 3600 * 10**9


class PublishesEndless(Passing):
    async def publish(self, topic: str, event: Any) -> Any:
        raise SessionLost("not here")


def test_adp_001_an_error_of_the_port_in_the_wrong_place_is_named_without_a_traceback() -> None:
    found = history_of(PublishesEndless)
    errors = [record for record in found.records if record.kind == "adapter.error"]
    assert (errors[0].reason, errors[0].error) == ("port", "SessionLost('not here')")
    assert broken([found]) == {"ADP-001": "fail"}


# stops and refuses


class NextStops(Entered):
    def around(self, subscription: Any) -> Any:
        async def ended(inner: Any) -> Any:
            raise StopAsyncIteration

        return Next(subscription, ended)


class LosesSessions(Entered):
    """Loses every second wait's session."""

    waits = 0

    def around(self, subscription: Any) -> Any:
        async def sometimes(inner: Any) -> Any:
            LosesSessions.waits += 1
            if LosesSessions.waits % 2:
                raise SessionLost("connection gone")
            return await inner.__anext__()

        return Next(subscription, sometimes)


class RefusesAll(Passing):
    async def publish(self, topic: str, event: Any) -> Any:
        raise Rejected("closed", "out of service")


class Doubts(Passing):
    async def publish(self, topic: str, event: Any) -> Any:
        raise Indeterminate("who knows")


class CannotSubscribe(Passing):
    @asynccontextmanager
    async def subscribe(self, topic: str, **given: Any) -> AsyncIterator[Any]:
        raise Unsupported("no groups")
        yield


def test_adp_002_a_subscription_that_ends_by_itself_fails() -> None:
    assert "ADP-002" in broken([history_of(NextStops)])


def test_a_lost_session_is_joined_again_and_breaks_nothing() -> None:
    found = history_of(LosesSessions)
    assert kinds(found).count("session.lost") >= 2
    assert broken([found]) == {}


@pytest.mark.parametrize(("adapter", "kind"), [(RefusesAll, "rejected"), (Doubts, "indeterminate")])
def test_cnf_002_a_broker_that_takes_nothing_hangs(adapter: type[Passing], kind: str) -> None:
    found = history_of(adapter)
    assert f"publish.{kind}" in kinds(found)
    assert broken([found]) == {"PUB-004": "hang"}


def test_adp_005_an_honest_refusal_fails_nothing() -> None:
    class Honest(CannotSubscribe):
        @asynccontextmanager
        async def subscribe(self, topic: str, **given: Any) -> AsyncIterator[Any]:
            if given["group"] != "reader":
                raise Unsupported("no groups")
            async with self.broker.subscribe(topic, **given) as subscription:
                yield subscription

    found = history_of(Honest)
    refused = [record for record in found.records if record.kind == "subscribe.rejected"]
    assert {record.reason for record in refused} == {"unsupported"}
    assert broken([found]) == {}


# lies


class Swallows(Passing):
    """Confirms everything and stores nothing."""

    stored = 0

    async def publish(self, topic: str, event: Any) -> Any:
        Swallows.stored += 1
        return Receipt(str(Swallows.stored), 0, duplicate=False)


def test_cnf_001_and_002_a_broker_that_swallows_everything_fails_and_hangs() -> None:
    fallen = broken([history_of(Swallows)])
    assert fallen["DLV-001"] == "fail"
    assert fallen["DLV-011"] == "hang"
