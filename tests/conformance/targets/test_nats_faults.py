"""What befalls a NATS server of our own, and the consumer processes of a scenario on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from eventproof.adapters.errors import Indeterminate, Unsupported
from eventproof.adapters.port import Broker
from eventproof.conformance.execution.stage import run_on, stage
from eventproof.conformance.history.record import History, Record
from eventproof.conformance.plugin import ours
from eventproof.conformance.rules.judge import judge
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
from eventproof.conformance.targets.nats import NatsTarget, connect
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.schemas.event import Event

WITHIN = 10.0


def event(number: int) -> Event:
    return Event(source="/s", type="a.b", id=str(number), extensions={"eventproofcall": str(number)})


def state(pid: int) -> str:
    """The letter of the kernel for what a process does; T is stopped, Z ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def gone(pid: int | None) -> bool:
    return not Path(f"/proc/{pid}").exists()


def on_server(story: Callable[[NatsTarget, int, Broker], Awaitable[None]]) -> None:
    """Tell it with a server of our own that has the topic `t`, its process id, and a connection."""

    async def work() -> None:
        target = NatsTarget()
        async with target.start(None) as url, connect(url) as broker:
            await target.provision("t", partitions=1, window=60.0)
            assert target.server is not None
            assert target.server.pid is not None
            await broker.publish("t", event(1))
            await story(target, target.server.pid, broker)

    asyncio.run(asyncio.wait_for(work(), 30))


async def published(broker: Broker, number: int) -> None:
    """Publish until it is known to be stored: a connection needs a moment to be back."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WITHIN
    while loop.time() < deadline:
        with suppress(Indeterminate):
            await broker.publish("t", event(number))
            return
    pytest.fail("nothing could be published")


# the server


def test_a_killed_server_is_gone_at_once_and_comes_back_with_its_address_and_data() -> None:
    async def story(target: NatsTarget, pid: int, broker: Broker) -> None:
        assert target.server is not None
        before = target.server.url
        target.kill()
        with pytest.raises(Indeterminate):
            await broker.publish("t", event(2))
        await target.revive()
        assert gone(pid)
        assert target.server.url == before
        assert target.server.pid != pid
        assert [entry.call for entry in await target.read_log("t")][:1] == [1]
        await published(broker, 3)
        assert {entry.call for entry in await target.read_log("t")} >= {1, 3}

    on_server(story)


def test_a_frozen_server_answers_nobody_until_it_goes_on() -> None:
    async def story(target: NatsTarget, pid: int, broker: Broker) -> None:
        target.freeze()
        call = asyncio.ensure_future(broker.publish("t", event(2)))
        done, _ = await asyncio.wait({call}, timeout=0.5)
        assert (done, state(pid)) == (set(), "T")
        target.thaw()
        await asyncio.wait_for(call, WITHIN)
        assert state(pid) != "T"
        assert [entry.call for entry in await target.read_log("t")] == [1, 2]

    on_server(story)


def test_a_restarted_server_is_another_process_with_the_same_data() -> None:
    async def story(target: NatsTarget, pid: int, broker: Broker) -> None:
        await target.restart()
        assert gone(pid)
        assert [entry.call for entry in await target.read_log("t")] == [1]
        await published(broker, 2)

    on_server(story)


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_the_end_takes_no_longer_with_a_server_that_is_dead_or_frozen(fault: str) -> None:
    async def work() -> tuple[Path, float]:
        target = NatsTarget()
        async with target.start(None):
            assert target.server is not None
            pid, folder = target.server.pid, target.server._folder
            getattr(target, fault)()
            start = asyncio.get_running_loop().time()
        assert gone(pid)
        seconds = asyncio.get_running_loop().time() - start
        return folder, seconds

    folder, seconds = asyncio.run(work())
    assert seconds < 5
    assert not folder.exists()


def test_nothing_befalls_a_server_that_is_not_ours() -> None:
    async def work() -> None:
        server = NatsServer()
        try:
            await server.start()
            target = NatsTarget()
            async with target.start(server.url):
                for sync in (target.kill, target.freeze, target.thaw):
                    with pytest.raises(Unsupported, match="only a server that the suite started"):
                        sync()
                for later in (target.revive, target.restart):
                    with pytest.raises(Unsupported, match="only a server that the suite started"):
                        await later()
            assert server.pid is not None
            assert state(server.pid) != "T"
        finally:
            await server.remove()

    asyncio.run(work())


# the consumers of a scenario

EVENTS = range(1, 13)
HELD, LATE = Act(do="hold", ticks=2), Act(do="hold", ticks=1)


def scenario(fault: Fault, act: Act) -> Scenario:
    return Scenario(
        publishers=(tuple(Publish(call=n, event=n) for n in EVENTS),),
        groups=(Group(policy=Policy(ack_timeout=4), consumers=(Consumer(), Consumer())),),
        behaviours=tuple(Behaviour(group=0, call=n, acts=(act,)) for n in EVENTS),
        faults=(fault,),
    )


KILLED = scenario(Fault(group=0, after="deliver", count=2, ticks=None), HELD)
BORN_AGAIN = scenario(Fault(group=0, after="ack.invoke", ticks=2), HELD)
FROZEN = scenario(Fault(do="freeze", group=0, after="deliver", count=2, ticks=12), LATE)


@cache
def histories() -> tuple[History, ...]:
    """Of the three, side by side on one server, with a process for each consumer that something befalls."""

    async def work() -> tuple[History, ...]:
        async with stage(ours("nats"), name="test", url=None, options={}, claims=lambda own: own) as on:
            assert on.faults >= {"consumer-loss", "consumer-pause", "broker-kill", "broker-pause"}
            return tuple(await on.run([KILLED, BORN_AGAIN, FROZEN]))

    return run_on("real", work)


def own(history: History) -> list[Record]:
    """The records of the consumer that something befell."""
    process = next(r.process for r in history.records if r.kind.startswith("consumer."))
    sessions = {r.session for r in history.records if r.process == process and r.session}
    held = {r.delivery for r in history.records if r.process == process and r.delivery}
    return [r for r in history.records if r.process == process or r.session in sessions or r.delivery in held]


def handed_out(history: History, call: int) -> list[Record]:
    return [r for r in history.records if r.kind == "deliver" and r.call == call]


def exercised(history: History, code: str, fault: str) -> int:
    finding = next(finding for finding in judge(history) if finding.code == code)
    assert not finding.count
    return finding.under[fault].exercised if fault in finding.under else 0


@pytest.mark.parametrize("number", range(3), ids=["killed", "born-again", "frozen"])
def test_nothing_is_lost_nor_broken_with_a_consumer(number: int) -> None:
    history = histories()[number]
    broken = {finding.code for finding in judge(history) if finding.count}
    assert not broken & {"B1", "B2", "B3", "C8", "H1", "H2", "A3"}
    assert "adapter.error" not in {record.kind for record in history.records}
    acked = {r.delivery for r in history.records if r.kind == "ack.ok"}
    assert {r.call for r in history.records if r.delivery in acked and r.call} >= set(EVENTS)


def test_a_killed_process_is_heard_to_its_last_word_and_no_further() -> None:
    history = histories()[0]
    kinds = [record.kind for record in own(history)]
    killing, killed = kinds.index("consumer.killing"), kinds.index("consumer.killed")
    assert killing < killed == len(kinds) - 1
    assert not {"session.closed", "session.lost", "session.ended", "ack.indeterminate"} & set(kinds)
    assert set(kinds[killing + 1 : killed]) <= {"deliver", "ack.ok", "ack.rejected", "lease.lost"}


def test_what_a_killed_process_held_comes_to_another_member() -> None:
    history = histories()[0]
    mine = own(history)
    settled = {r.delivery for r in mine if r.kind == "ack.ok"}
    held = [r for r in mine if r.kind == "deliver" and r.delivery not in settled]
    assert held
    for record in held:
        assert {r.process for r in handed_out(history, record.call)} - {record.process}
    assert exercised(history, "B3", "consumer-loss") >= len(held)


def test_a_process_that_lives_again_joins_after_its_pause_with_a_session_of_its_own() -> None:
    mine = own(histories()[1])
    killed = next(record for record in mine if record.kind == "consumer.killed")
    again = [record for record in mine if record.i > killed.i]
    assert [record.kind for record in again][:2] == ["subscribe.invoke", "subscribe.ok"]
    assert again[0].t - killed.t >= 2 * histories()[1].header.tick * 1e9
    assert again[0].session > max(record.session for record in mine if record.i < killed.i)


def test_grp_006_the_late_ack_of_a_frozen_process_is_refused() -> None:
    history = histories()[2]
    mine = own(history)
    paused, resumed = (
        next(r.i for r in mine if r.kind == kind) for kind in ("consumer.paused", "consumer.resumed")
    )
    assert not [r for r in mine if paused < r.i < resumed and r.kind.endswith((".invoke", ".ok"))]
    held = [r for r in mine if r.kind == "deliver" and r.i < paused]
    late = {r.delivery: r.kind for r in mine if r.i > resumed and r.kind.startswith("ack.")}
    refused = [r for r in held if late.get(r.delivery) == "ack.rejected"]
    assert refused
    for record in refused:
        assert len(handed_out(history, record.call)) > 1
    assert exercised(history, "C8", "consumer-pause") >= 1
    assert exercised(history, "B3", "consumer-pause") >= 1
