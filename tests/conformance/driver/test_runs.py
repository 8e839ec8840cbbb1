"""Runs of the suite through drivers: the same verdicts as in this process, and the errors of a bad one."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventproof.adapters.errors import Indeterminate
from eventproof.adapters.policy import Policy
from eventproof.conformance.driver import broker as port
from eventproof.conformance.driver.process import open_process
from eventproof.conformance.driver.target import DriverTarget
from eventproof.conformance.history.record import History
from eventproof.conformance.plugin import InvalidDriver, Plugin, anybodys, driven, ours
from eventproof.conformance.report.report import Report
from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Consumer,
    Group,
    Payload,
    Publish,
    Scenario,
    encode,
)
from eventproof.conformance.scenario import Policy as Ticks
from eventproof.conformance.targets.nats import NatsTarget
from tests.adapters.nats.conftest import Nats
from tests.conformance.brokers import SMALL, broken, judged, run
from tests.conformance.driver.drivers import EVENT, SERVED, liar, settled
from tests.conformance.somebodys import eventproof as in_a_process

CONFORMANT, FAILED, PARTIAL, BROKEN, USAGE = range(5)
ADAPTER = """
from eventproof.adapters.memory import connect
class target:
    tick = 0.1
"""
ACTS = {"nack.ok", "reject.ok", "lease.lost", "ack.rejected", "extend.ok"}
SMOKE = [
    SMALL,
    Scenario(
        payloads=(Payload(kind="json", json={"a": [1, "b", None]}), Payload(kind="bytes", raw=b"\xff")),
        publishers=tuple(
            tuple(
                Publish(call=2 * n + p, event=2 * n + p, key=p, payload=p, pipelined=True)
                for n in range(1, 6)
            )
            for p in (0, 1)
        ),
        groups=(
            Group(policy=Ticks(max_attempts=3), consumers=(Consumer(), Consumer(sequential=True))),
            Group(policy=Ticks(ack_timeout=2)),
        ),
        behaviours=(
            Behaviour(group=0, call=2, acts=(Act(do="nack"), Act(do="nack"), Act(do="nack"))),
            Behaviour(group=0, call=3, acts=(Act(do="reject"),)),
            Behaviour(group=0, call=4, acts=(Act(do="leave", ticks=1),)),
            Behaviour(group=1, call=5, acts=(Act(do="hold", ticks=4), Act(do="twice"))),
            Behaviour(group=1, call=6, acts=(Act(do="abandon"),)),
            Behaviour(group=1, call=7, acts=(Act(do="extend", ticks=3),)),
        ),
    ),
]


def through(command: tuple[str, ...], tick: float = 0.1) -> Plugin:
    """A driver whose target says that a tick is short."""
    found = driven(shlex.join(command))
    assert isinstance(found.target, DriverTarget)
    found.target.tick = tick  # type: ignore[attr-defined]
    return found


def states(histories: list[History]) -> dict[str, str]:
    return {name: verdict.state for name, verdict in judged(histories).items()}


def kinds(history: History) -> set[str]:
    """What was recorded of the adapter; a stall is the machine's."""
    return {record.kind for record in history.records} - {"stall"}


def test_the_memory_adapter_gets_the_same_verdicts_through_a_driver(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(ADAPTER)
    here = run(SMOKE, anybodys(f"{tmp_path / 'theirs.py'}:connect"))
    there = run(SMOKE, through(SERVED))
    assert broken(there) == {}
    assert states(there) == states(here)
    assert [kinds(one) for one in there] == [kinds(one) for one in here]
    assert kinds(there[1]) >= ACTS
    assert there[0].header.versions["driver"] == "eventproof"


def test_drv_010_a_bad_line_is_recorded_as_an_error_of_the_adapter() -> None:
    (history,) = run([SMALL], through(liar("lines", "publish")))
    errors = [record.error for record in history.records if record.kind == "adapter.error"]
    assert errors
    assert all("'warning: deprecated'" in error for error in errors)
    assert broken([history])["ADP-001"] == "fail"


def test_drv_012_a_driver_that_dies_is_recorded_as_an_error_and_not_as_a_kill() -> None:
    (history,) = run([SMALL], through(liar("exits", "publish", 3)))
    (error, *_) = [record.error for record in history.records if record.kind == "adapter.error"]
    assert "out of luck" in error
    assert "with status 3" in error
    assert "consumer.killed" not in kinds(history)
    assert broken([history])["ADP-001"] == "fail"


def test_drv_011_a_driver_that_is_silent_is_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "LEAVE", 0.1)
    plan = msgspec.structs.replace(SMALL, groups=(Group(),))
    (history,) = run([plan], through(liar("silent", "publish"), tick=0.02))
    assert kinds(history) >= {"publish.invoke", "end"}
    assert broken([history])["ADP-003"] == "hang"


def test_a_process_that_died_is_not_used_again() -> None:
    async def work() -> None:
        target = DriverTarget(SERVED)
        async with target.start(None) as url:
            first = target._process
            assert first is not None
            async with target.connect(url) as broker:
                first.kill()
                await first.ended()
                assert isinstance(await settled(broker.publish("t", EVENT)), Indeterminate)
            async with target.connect(url) as broker:
                assert (await broker.publish("t", EVENT)).duplicate is False
            assert target._process is not first

    asyncio.run(work())


# NATS


class ServedNats(NatsTarget):
    """A server of its own, as `nats` has it, with all participants behind one driver."""

    @asynccontextmanager
    async def start(self, url: str | None) -> AsyncIterator[str]:
        async with super().start(url) as address, open_process(ours("nats").command or ()) as self.process:
            yield address

    def connect(self, url: str, **options: Any) -> Any:
        return self.process.connect(url, **options)


def test_the_nats_adapter_keeps_its_claims_through_a_driver() -> None:
    target = ServedNats()
    histories = run(SMOKE, Plugin("served", target.connect, target))
    assert broken(histories) == {}
    assert {*ACTS, "drained"} <= kinds(histories[1])


def test_what_a_killed_process_held_comes_back_to_another(nats: Nats) -> None:
    command = ours("nats").command
    assert command is not None
    policy = Policy(ack_timeout=1.0, max_in_flight=1)

    async def work() -> None:
        topic = await nats.topic()
        async with (
            nats.broker() as here,
            open_process(command) as process,
            process.connect(nats.url) as there,
            there.subscribe(topic, group="g", policy=policy) as doomed,
        ):
            await here.publish(topic, EVENT)
            held = await asyncio.wait_for(doomed.__anext__(), 5)
            process.kill()
            await process.ended()
            assert isinstance(await settled(held.ack()), Indeterminate)
            async with here.subscribe(topic, group="g", policy=policy) as subscription:
                again = await asyncio.wait_for(subscription.__anext__(), 10)
                assert (again.event, again.attempt) == (EVENT, 2)
                await again.ack()

    asyncio.run(work())


# what can be started


def test_each_plugin_says_how_one_more_participant_is_started(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(ADAPTER)
    adapter = (sys.executable, "-m", "eventproof.conformance.driver", "--adapter")
    assert ours("memory").command is None  # in this process, and out of reach of another
    assert ours("nats").command == (*adapter, "eventproof.adapters.nats.broker:connect")
    assert ours("nats-core").command == (*adapter, "eventproof.adapters.nats.core.broker:connect")
    assert anybodys(f"{tmp_path / 'theirs.py'}:connect").command == (
        *adapter,
        f"{tmp_path / 'theirs.py'}:connect",
    )
    assert driven("python 'my driver.py'").command == ("python", "my driver.py")


@pytest.mark.parametrize(
    ("words", "says"), [("", "is the command line of a program"), ("a 'b", "No closing quotation")]
)
def test_what_is_no_command_line_is_refused(words: str, says: str) -> None:
    with pytest.raises(InvalidDriver, match=says):
        driven(words)


# the command line


def test_run_and_replay_take_a_driver(eventproof: Any) -> None:
    driver = shlex.join(SERVED)
    words = ("--driver", driver, "--option", "max_payload=16384")
    ended = eventproof("run", *words, "--scenarios", 1, "--seed", 4, "--budget", 1, "--report", "out")
    assert ended.code == PARTIAL, ended.err
    report = msgspec.json.decode(Path("out/report.json").read_bytes(), type=Report)
    assert report.target == driver
    assert report.versions["driver"] == "eventproof"
    Path("small.json").write_bytes(encode(SMALL))
    replayed = eventproof("replay", "small.json", *words)
    assert replayed.code == CONFORMANT, replayed.err
    assert "0 of 1 runs broke a claim" in replayed.out


def test_a_broken_driver_is_a_violation_and_says_how_to_replay_it(tmp_path: Path) -> None:
    driver = shlex.join(liar("lines", "publish"))
    words = ("run", "--driver", driver, "--scenarios", 1, "--budget", 1, "--report", "out")
    code, ended = asyncio.run(in_a_process(tmp_path, *words))
    assert code == FAILED, ended.err
    assert "ADP-001 is broken (P1)" in ended.out
    assert "replay: eventproof replay out/counterexamples/P1" in ended.out
    assert "--driver '" in ended.out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--driver", "x", "memory"], USAGE, "give exactly one of TARGET"),
        (["--driver", "x", "--adapter", "y"], USAGE, "give exactly one of TARGET"),
        (["--driver", ""], USAGE, "is the command line of a program"),
        (["--driver", "a 'b"], USAGE, "No closing quotation"),
        (["--driver", "/nowhere/at/all"], BROKEN, "cannot be started: No such file"),
        (["--driver", shlex.join(liar("exits"))], BROKEN, "with status 1, before the handshake: out of luck"),
        (["--driver", shlex.join(liar("version"))], BROKEN, "speaks version 2"),
    ],
)
def test_a_driver_that_cannot_be_used_is_one_clear_error(
    eventproof: Any, words: list[str], code: int, says: str
) -> None:
    for command in (["run"], ["replay", "small.json"]):
        Path("small.json").write_bytes(encode(SMALL))
        ended = eventproof(*command, *words)
        assert ended.code == code
        assert says in ended.err


def test_a_run_on_a_server_that_is_not_ours_writes_the_driver_into_its_manifest(eventproof: Any) -> None:
    words = ("--url", "memory://theirs", "--driver", shlex.join(SERVED), "--option", "max_payload=16384")
    ended = eventproof("run", *words, "--scenarios", 1, "--budget", 1, "--max-duration", 5, "--report", "out")
    assert ended.code == PARTIAL, ended.err
    header = msgspec.json.decode(Path("out/manifest.jsonl").read_bytes().splitlines()[0])
    assert header["driver"] == shlex.join(SERVED)
    cleaned = eventproof("cleanup", "out/manifest.jsonl")
    assert cleaned.code == BROKEN
    assert "cannot remove topics: remove them by hand" in cleaned.err
