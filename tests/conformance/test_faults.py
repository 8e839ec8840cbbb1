"""Scenarios with faults on the memory broker: what befalls it and its consumers, and what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from eventproof.adapters.errors import EventproofError
from eventproof.conformance.execution.execute import execute
from eventproof.conformance.execution.recovery import Recovery
from eventproof.conformance.execution.run import Site
from eventproof.conformance.execution.stage import run_on, stage
from eventproof.conformance.execution.weather import Weather
from eventproof.conformance.history.record import History, Record
from eventproof.conformance.plugin import Plugin, ours
from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Consumer,
    Fault,
    Group,
    Policy,
    Publish,
    Scenario,
)
from eventproof.conformance.strategies import generate
from tests.conformance.brokers import Passing, broken, plugin, run

EVENTS = range(1, 9)
PAIR = Group(policy=Policy(ack_timeout=4), consumers=(Consumer(), Consumer()))


def scenario(*struck: Fault, act: Act | None = None, group: Group = PAIR) -> Scenario:
    """Eight events for a group that does the same with each, once."""
    return Scenario(
        publishers=(tuple(Publish(call=n, event=n, after=1) for n in EVENTS),),
        groups=(group,),
        behaviours=tuple(Behaviour(group=0, call=n, acts=(act,)) for n in EVENTS) if act else (),
        faults=struck,
    )


def kinds(history: History, *starts: str) -> list[str]:
    return [record.kind for record in history.records if record.kind.startswith(starts)]


def of(history: History, process: str) -> list[Record]:
    """The records of a process, also those of what it does with its deliveries and sessions."""
    sessions = {r.session for r in history.records if r.process == process and r.session}
    deliveries = {r.delivery for r in history.records if r.process == process and r.delivery}
    return [
        r
        for r in history.records
        if r.process == process or r.session in sessions or r.delivery in deliveries
    ]


def settled(history: History) -> set[int]:
    """The calls that were acked."""
    call = {r.delivery: r.call for r in history.records if r.kind == "deliver"}
    return {call[r.delivery] for r in history.records if r.kind == "ack.ok"}


# the broker


@pytest.mark.parametrize(
    ("fault", "recorded"),
    [
        (Fault(after="publish.ok", count=3, ticks=2), ["broker.killed", "broker.ready"]),
        (Fault(do="freeze", after="deliver", count=3, ticks=5), ["broker.paused", "broker.resumed"]),
        (Fault(do="restart", after="ack.ok", count=3), ["broker.stopped", "broker.ready"]),
    ],
    ids=lambda one: one.do if isinstance(one, Fault) else "",
)
def test_what_befalls_the_broker_is_recorded_where_it_was_due(fault: Fault, recorded: list[str]) -> None:
    history = run([scenario(fault)])[0]
    assert kinds(history, "broker.") == recorded
    struck = next(r.i for r in history.records if r.kind == recorded[0])
    assert [r.kind for r in history.records if r.i < struck].count(fault.after) == fault.count
    assert history.records[struck - 2].kind == fault.after
    assert settled(history) >= set(EVENTS)
    assert broken([history]) == {}


def test_a_fault_that_is_never_due_is_no_fault() -> None:
    history = run([scenario(Fault(after="publish.ok", count=99))])[0]
    assert kinds(history, "broker.") == []
    assert history.records[-1].kind == "end"


def test_scenarios_with_faults_give_the_same_histories_each_time_and_break_nothing() -> None:
    corpus = generate(60, 8, led=2)
    first, second = run(corpus), run(corpus)
    assert [history.records for history in first] == [history.records for history in second]
    assert broken(first) == {}
    assert sum(bool(kinds(history, "broker.")) for history in first) >= 20
    assert sum(bool(kinds(history, "consumer.")) for history in first) >= 15
    assert all(kinds(history, "drained") for history in first)


# several scenarios on one broker

LEAD, FOLLOWER = scenario(Fault(after="publish.ok", count=5, ticks=2)), scenario()


def side_by_side(
    scenarios: Sequence[Scenario],
    chosen: Plugin | None = None,
    site: Callable[[Site], Site] = lambda own: own,
) -> list[Any]:
    """The history of each, or what it raised; all are met by the faults of one of them."""

    async def work() -> list[Any]:
        async with stage(chosen or ours("memory"), name="x", url=None, options={}, claims=lambda c: c) as on:
            where = site(on.site)
            weather = Weather(Recovery(where.facilities), len(scenarios))
            runs = (execute(one, where, f"n{n}", weather) for n, one in enumerate(scenarios))
            return list(await asyncio.gather(*runs, return_exceptions=True))

    return run_on("virtual", work)


def test_a_fault_of_one_meets_all_under_way_and_each_records_it() -> None:
    found = side_by_side([FOLLOWER, LEAD, FOLLOWER])
    assert [kinds(history, "broker.") for history in found] == [["broker.killed", "broker.ready"]] * 3
    for history in found:
        struck = next(r.i for r in history.records if r.kind == "broker.killed")
        assert "publish.invoke" in {r.kind for r in history.records[:struck]}
        assert settled(history) >= set(EVENTS)
    assert broken(found) == {}


class Impossible(EventproofError):
    """The broker does not do that."""


def refusing(topic: str) -> Callable[[Site], Site]:
    """The site, on which one topic cannot be made."""

    def changed(site: Site) -> Site:
        make = site.facilities.provision
        assert make is not None

        async def provision(name: str, **plan: Any) -> None:
            if name == topic:
                raise Impossible(name)
            await make(name, **plan)

        return replace(site, facilities=replace(site.facilities, provision=provision))

    return changed


def test_a_run_that_breaks_before_its_traffic_leaves_the_others_free() -> None:
    broke, *others = side_by_side([FOLLOWER, LEAD, FOLLOWER], site=refusing("n0-t0"))
    assert isinstance(broke, Impossible)
    assert [kinds(history, "broker.") for history in others] == [["broker.killed", "broker.ready"]] * 2
    assert broken(others) == {}


def test_a_lead_that_breaks_before_its_traffic_leaves_the_others_free() -> None:
    follower, broke = side_by_side([FOLLOWER, LEAD], site=refusing("n1-t0"))
    assert isinstance(broke, Impossible)
    assert kinds(follower, "broker.") == []
    assert settled(follower) >= set(EVENTS)


class RaisesInTheSecond(Passing):
    async def publish(self, topic: str, event: Any) -> Any:
        if topic.startswith("n1-"):
            raise ZeroDivisionError
        return await self.broker.publish(topic, event)


def test_a_lead_that_breaks_in_its_traffic_leaves_the_others_free() -> None:
    follower, lead = side_by_side([FOLLOWER, LEAD], plugin(RaisesInTheSecond))
    assert kinds(lead, "adapter.error", "end") == ["adapter.error", "end"]
    assert kinds(follower, "broker.", "adapter.error", "end") == ["end"]
    assert broken([follower]) == {}


def test_a_broker_that_does_not_come_back_is_told_to_who_wanted_it() -> None:
    def lost(site: Site) -> Site:
        async def revive() -> None:
            raise Impossible("no server")

        return replace(site, facilities=replace(site.facilities, revive=revive))

    lead, follower = side_by_side([LEAD, FOLLOWER], site=lost)
    assert isinstance(lead, Impossible)
    assert kinds(follower, "broker.") == ["broker.killed"]
    assert {r.error for r in follower.records if r.kind == "adapter.error"} == {"Impossible('no server')"}


# consumers


def test_a_killed_consumer_says_nothing_more_and_another_takes_over() -> None:
    history = run([scenario(Fault(group=0, after="deliver"), act=Act(do="hold", ticks=2))])[0]
    own = [record.kind for record in of(history, "g0-c0")]
    assert own[-2:] == ["consumer.killing", "consumer.killed"]
    assert own.count("deliver") == 1
    assert not {"ack.ok", "session.closed", "session.lost"} & set(own)
    assert settled(history) >= set(EVENTS)
    assert broken([history]) == {}


def test_a_killed_consumer_that_lives_again_joins_again() -> None:
    history = run([scenario(Fault(group=0, after="ack.ok", ticks=2))])[0]
    own = of(history, "g0-c0")
    killed = next(record for record in own if record.kind == "consumer.killed")
    after = [record for record in own if record.i > killed.i]
    assert [record.kind for record in after][:2] == ["subscribe.invoke", "subscribe.ok"]
    assert after[0].t - killed.t == 2 * 10 * 10**9
    assert after[0].session > killed.session
    assert broken([history]) == {}


def test_a_consumer_may_be_killed_in_each_life_only_as_often_as_planned() -> None:
    faults = (
        Fault(group=0, after="deliver", count=1, ticks=1),
        Fault(group=0, after="deliver", count=3, ticks=1),
    )
    history = run([scenario(*faults)])[0]
    assert kinds(history, "consumer.") == ["consumer.killing", "consumer.killed"] * 2
    assert settled(history) >= set(EVENTS)
    assert broken([history]) == {}


def test_a_frozen_consumer_does_nothing_meanwhile_and_its_late_ack_is_refused() -> None:
    freeze = Fault(do="freeze", group=0, after="deliver", ticks=12)
    history = run([scenario(freeze, act=Act(do="hold", ticks=1))])[0]
    own = of(history, "g0-c0")
    paused, resumed = (
        next(r.i for r in own if r.kind == kind) for kind in ("consumer.paused", "consumer.resumed")
    )
    assert {r.kind for r in own if paused < r.i < resumed} <= {"lease.lost"}
    held = next(r.delivery for r in own if r.kind == "deliver")
    assert [r.kind for r in own if r.delivery == held and r.i > resumed] == ["ack.invoke", "ack.rejected"]
    assert settled(history) >= set(EVENTS)
    assert broken([history]) == {}


def test_a_freeze_that_outlasts_the_scenario_ends_with_it() -> None:
    freeze = Fault(do="freeze", group=0, after="deliver", count=2, ticks=10_000)
    history = run([scenario(freeze)])[0]
    assert kinds(history, "consumer.") == ["consumer.paused", "consumer.resumed"]
    assert history.records[-1].kind == "end"
    assert settled(history) >= set(EVENTS)
    assert broken([history]) == {}


def test_what_befalls_a_broker_and_its_consumers_at_once_breaks_nothing() -> None:
    faults = (
        Fault(after="deliver", count=2, ticks=2),
        Fault(group=0, after="deliver", ticks=1),
        Fault(do="freeze", group=0, consumer=1, after="deliver", ticks=12),
    )
    history = run([scenario(*faults, act=Act(do="nack"))])[0]
    assert len(kinds(history, "broker.", "consumer.")) == 6
    assert settled(history) >= set(EVENTS)
    assert broken([history]) == {}
