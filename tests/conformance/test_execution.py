"""Scenarios on the memory broker: the histories are complete, well-formed, repeatable, and leave nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import cache
from typing import Any

import pytest

from eventproof.adapters.memory import connect, engine_at
from eventproof.conformance.events import CALL, call_of
from eventproof.conformance.execution.execute import execute
from eventproof.conformance.execution.recovery import Recovery
from eventproof.conformance.execution.stage import run_on, stage
from eventproof.conformance.execution.weather import Weather
from eventproof.conformance.history.record import History, Record
from eventproof.conformance.plugin import ours
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Consumer,
    Group,
    Payload,
    Policy,
    Publish,
    Scenario,
    Topic,
)
from eventproof.conformance.strategies import generate
from eventproof.schemas.event import Event
from tests.conformance.brokers import SMALL, Passing, broken, plugin, run

CONFIGURATIONS: tuple[dict[str, str], ...] = (
    {},
    {"lane": "partition"},
    {"lane": "topic"},
    {"lane": "event"},
    {"delivery": "at-most-once"},
    {"dedup": "consume"},
    {"dedup": "none"},
)


@cache
def corpus() -> list[Scenario]:
    return generate(300, 3)


@cache
def histories() -> list[History]:
    return run(corpus())


def of_kind(history: History, kind: str) -> list[Record]:
    return [record for record in history.records if record.kind == kind]


# what a correct broker must look like


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=lambda o: "-".join(o.values()) or "default")
def test_the_correct_broker_never_fails(options: dict[str, str]) -> None:
    found = run(corpus(), **options) if options else histories()
    assert broken(found) == {}


def test_cnf_004_no_history_is_malformed() -> None:
    assert not [f for h in histories() for f in judge(h) if f.code == "H1" and f.count]


def test_without_faults_every_drain_is_proven_and_every_publish_has_an_outcome() -> None:
    for history in histories():
        proven = {record.group for record in of_kind(history, "drained")}
        joined = {r.group for r in history.records if r.kind == "subscribe.invoke" and not r.reason}
        assert {group.name for group in history.header.groups} <= proven
        assert joined <= proven
        assert not of_kind(history, "publish.indeterminate")
        invoked = {record.call for record in of_kind(history, "publish.invoke")}
        ended = [r.call for r in history.records if r.kind in {"publish.ok", "publish.rejected"}]
        assert sorted(ended) == sorted(invoked)


def test_the_corpus_exercises_what_it_is_for() -> None:
    kinds = Counter(record.kind for history in histories() for record in history.records)
    assert min(kinds[f"{verb}.ok"] for verb in ("ack", "nack", "reject", "extend")) >= 5
    assert kinds["lease.lost"] >= 20
    assert kinds["dead"] >= 20
    assert kinds["publish.rejected"] >= 20
    assert kinds["subscribe.rejected"] >= 20
    assert sum(bool(r.duplicate) for h in histories() for r in h.records) >= 20


# what every history is


def test_an_invoke_comes_before_its_completion_and_each_completes_once() -> None:
    for history in histories():
        open_acts: Counter[tuple[str, int]] = Counter()
        for record in history.records:
            subject, _, step = record.kind.partition(".")
            number = {"publish": record.call, "subscribe": record.session}.get(subject, record.delivery)
            if subject in {"publish", "subscribe", "ack", "nack", "reject", "extend"}:
                open_acts[subject, number] += 1 if step == "invoke" else -1
                assert open_acts[subject, number] >= 0, record
        assert not +open_acts


def test_records_are_numbered_from_one_and_time_never_goes_back() -> None:
    for history in histories():
        assert [record.i for record in history.records] == list(range(1, len(history.records) + 1))
        times = [record.t for record in history.records]
        assert times == sorted(times)
        assert history.records[-1].kind == "end"


def test_every_planned_publish_is_made_once_with_what_was_planned() -> None:
    for scenario, history in zip(corpus(), histories(), strict=True):
        made = {record.call: record for record in of_kind(history, "publish.invoke")}
        probes = {record.call for record in of_kind(history, "probe")}
        assert set(made) - probes == {step.call for step in scenario.publishes}
        for step in scenario.publishes:
            record = made[step.call]
            assert record.key == (f"key-{step.key}" if step.key else "")
            assert record.topic.endswith(f"-t{step.topic}")
            assert record.event.endswith(f" event-{step.event}")
            assert bool(record.expires) == bool(step.expires)


def test_each_scenario_has_names_of_its_own() -> None:
    seen: set[str] = set()
    for history in histories():
        topics = {topic.name for topic in history.header.topics}
        assert all(name.startswith("test-") for name in topics)
        assert not topics & seen
        seen |= topics
        assert {record.topic for record in history.records if record.topic} <= topics | {
            group.policy.dead_letter for group in history.header.groups
        }


def test_the_header_tells_what_the_run_was_meant_to_be() -> None:
    scenario = Scenario(
        topics=(Topic(partitions=3, window=4),),
        groups=(Group(policy=Policy(ack_timeout=6, backoff=(1, 2), max_attempts=2, types=("a.*",))),),
    )
    header = run([scenario])[0].header
    assert header.tick == 10.0
    assert (header.topics[0].partitions, header.topics[0].window) == (3, 40.0)
    policy = header.groups[0].policy
    assert (policy.ack_timeout, policy.backoff, policy.max_attempts) == (60.0, (10.0, 20.0), 2)
    assert policy.types == ("a.*",)
    assert policy.dead_letter == "test-1-t0-g0-dead"
    assert header.claims.loss == "never"
    assert header.versions["eventproof"]


def test_cnf_008_surplus_foreign_and_repeated_deliveries_are_recorded_as_they_come() -> None:
    foreign = Event(source="/somebody/else", type="com.example.shop.order.created.v1", id="foreign")

    class Repeats(Passing):
        async def publish(self, topic: str, event: Event) -> Any:
            engine = self.broker._engine
            await self.broker.publish(topic, foreign)
            receipt = await self.broker.publish(topic, event)
            engine.store(engine.topic(topic), event)
            return receipt

    scenario = Scenario(publishers=((Publish(call=1, event=1), Publish(call=2, event=2)),), groups=(Group(),))
    history = run([scenario], plugin(Repeats))[0]
    handed = Counter(record.call for record in of_kind(history, "deliver"))
    assert handed[0] == 1, "a foreign event, stored once and then recognised, was not recorded once"
    assert handed[1] == handed[2] == 2


# repeatable, and nothing is left


def test_one_scenario_gives_the_same_history_each_time() -> None:
    chosen = [s for s in corpus() if s.operations > 20 and s.behaviours][:10]
    first, second = run(chosen), run(chosen)
    assert [h.records for h in first] == [h.records for h in second]


def test_topics_are_removed_and_the_broker_is_gone_after_the_run() -> None:
    async def work() -> tuple[dict[str, Any], dict[str, Any]]:
        made = ours("memory")
        async with stage(made, name="test", url="memory://kept", options={}, claims=lambda c: c) as on:
            during: dict[str, Any] = {}
            keep = made.facilities.provision
            assert keep is not None
            await on.run([SMALL])
            during.update(engine_at("memory://kept").topics)
        async with connect("memory://kept"):
            return during, dict(engine_at("memory://kept").topics)

    during, after = run_on("virtual", work)
    assert during == after == {}


def test_no_task_is_left_of_any_scenario() -> None:
    # `run` fails if one is
    run(corpus()[:40])


# behaviours


ACTS: dict[str, tuple[Act, list[str], list[int]]] = {
    "ack": (Act(), ["ack.ok"], [1]),
    "nack": (Act(do="nack"), ["nack.ok", "ack.ok"], [1, 2]),
    "reject": (Act(do="reject"), ["reject.ok"], [1]),
    "hold": (Act(do="hold", ticks=1), ["ack.ok"], [1]),
    "too-long": (Act(do="hold", ticks=6), ["ack.ok", "ack.rejected"], [1, 2]),
    "extend": (Act(do="extend", ticks=8), ["extend.ok", "extend.ok", "extend.ok", "ack.ok"], [1]),
    "abandon": (Act(do="abandon"), ["ack.ok"], [1, 2]),
    "leave": (Act(do="leave", ticks=2), ["ack.ok"], [1, 2]),
    "twice": (Act(do="twice"), ["ack.ok", "ack.ok", "nack.rejected"], [1]),
}


@pytest.mark.parametrize(("act", "outcomes", "attempts"), ACTS.values(), ids=ACTS)
def test_each_act_is_carried_out_as_planned(act: Act, outcomes: list[str], attempts: list[int]) -> None:
    scenario = Scenario(
        publishers=((Publish(call=1, event=1),),),
        groups=(Group(policy=Policy(ack_timeout=4, max_attempts=3)),),
        behaviours=(Behaviour(group=0, call=1, acts=(act,)),),
    )
    history = run([scenario])[0]
    handed = [record for record in of_kind(history, "deliver") if record.call == 1]
    numbers = {record.delivery for record in handed}
    ended = [
        r.kind for r in history.records if r.delivery in numbers and r.kind.endswith((".ok", ".rejected"))
    ]
    assert ended == outcomes
    assert [record.attempt for record in handed] == attempts
    assert [r.call for r in of_kind(history, "dead")] == ([1] if act.do == "reject" else [])
    assert broken([history]) == {}


def test_a_late_member_joins_after_so_many_publishes_and_latest_misses_the_first_ones() -> None:
    steps = tuple(Publish(call=n, event=n, after=1) for n in (1, 2, 3, 4))
    group = Group(policy=Policy(start="latest"), consumers=(Consumer(joins=3),))
    history = run([Scenario(publishers=(steps,), groups=(group,))])[0]
    kinds = [r.kind for r in history.records]
    assert kinds[: kinds.index("subscribe.invoke")].count("publish.invoke") >= 3
    assert {r.call for r in of_kind(history, "deliver")} >= {4}
    assert 1 not in {r.call for r in of_kind(history, "deliver")}


def test_a_conflicting_member_is_refused() -> None:
    group = Group(consumers=(Consumer(), Consumer(conflicting=True)))
    history = run([Scenario(publishers=((Publish(call=1, event=1),),), groups=(group,))])[0]
    assert [record.reason for record in of_kind(history, "subscribe.rejected")] == ["conflict"]
    assert broken([history]) == {}


def test_an_oversize_event_is_refused_and_never_seen() -> None:
    scenario = Scenario(
        payloads=(Payload(kind="oversize"),), publishers=((Publish(call=1, event=1),),), groups=(Group(),)
    )
    history = run([scenario])[0]
    assert [record.reason for record in of_kind(history, "publish.rejected")] == ["too-large"]
    assert 1 not in {record.call for record in of_kind(history, "deliver")}


def test_a_scenario_without_groups_or_publishes_ends() -> None:
    for scenario in (
        Scenario(),
        Scenario(groups=(Group(),)),
        Scenario(publishers=((Publish(call=1, event=1),),)),
    ):
        history = run([scenario])[0]
        assert history.records[-1].kind == "end"
        assert broken([history]) == {}


def test_scenarios_run_side_by_side_do_not_meet() -> None:
    async def work() -> list[History]:
        async with stage(ours("memory"), name="side", url=None, options={}, claims=lambda c: c) as on:
            calm = Weather(Recovery(on.site.facilities))
            return list(
                await asyncio.gather(
                    *(execute(s, on.site, f"n{n}", calm) for n, s in enumerate(corpus()[:25]))
                )
            )

    found = run_on("virtual", work)
    assert broken(found) == {}
    for number, history in enumerate(found):
        assert {r.event.partition(" ")[0] for r in of_kind(history, "deliver")} <= {
            f"%2Feventproof%2Fn{number}"
        }


def test_call_of_reads_our_own_number_only() -> None:
    event = Event(source="/s", type="a.b", id="1")
    assert call_of(event) == 0
    assert call_of(event.with_extensions(**{CALL: "7"})) == 7
    for other in (7, True, "0", "07", "-1", "7 ", "\u0667", "1" * 5000):
        assert call_of(event.with_extensions(**{CALL: other})) == 0
