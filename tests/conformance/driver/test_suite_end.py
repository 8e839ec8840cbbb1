"""The suite's end of a driver: what it believes, calls an error, and reads after a kill (DRV-010 to 013)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from eventproof.adapters.errors import EventproofError, Indeterminate, SessionLost, Unreachable
from eventproof.adapters.port import Receipt
from eventproof.conformance.driver import broker as port
from eventproof.conformance.driver import child, process
from eventproof.conformance.driver.exchange import DriverFailed
from eventproof.conformance.driver.process import DriverNotReady, open_process
from eventproof.conformance.foreign import ForeignError, foreign
from eventproof.schemas.event import Event
from tests.conformance.driver.drivers import EVENT, SERVED, connected, gone, liar, settled

VERBS = ("publish", "subscribe", "next", "ack", "nack", "reject", "extend", "unsubscribe", "close")


async def everything(broker: Any) -> None:
    """Each kind of request once, and some twice."""
    await broker.publish("t", EVENT)
    async with broker.subscribe("t", group="g") as subscription:
        first, second, third = [await subscription.__anext__() for _ in range(3)]
        await first.extend()
        await first.ack()
        await second.nack(delay=0.0)
        await third.reject("why not")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Any:
    """No task, no pipe and no process outlives a test."""
    before = open_files()
    yield
    assert open_files() <= before


def run(work: Any) -> Any:
    async def alone() -> Any:
        try:
            return await work
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(alone())


# what is believed


def test_drv_002_a_driver_that_tells_the_truth_is_believed() -> None:
    async def work() -> None:
        async with connected(liar("truth", "never")) as (running, broker):
            assert (running.name, running.versions) == ("liar", {"liar": "1"})
            await everything(broker)
            assert await broker.publish("t", EVENT) == Receipt("7", None, None)
        assert gone(running)

    run(work())


# DRV-010


@pytest.mark.parametrize("verb", ["publish", "next", "ack"])
@pytest.mark.parametrize(
    ("lie", "says"),
    [
        ("prints", "warning: deprecated"),
        ("lines", "warning: deprecated"),
        ("not-utf-8", "utf-8"),
        ("empty", "no line of the protocol"),
        ("nested", "no line of the protocol"),
        ("type", "no answer to"),
        ("surplus", "colour"),
        ("unknown-id", "no open request (id 4711)"),
        ("no-id", "neither an answer nor a notice"),
        ("outcome", "no answer to"),
        ("twice", "no open request"),
        ("notice", "delivery that was not handed out (number 99)"),
        ("rumour", "neither an answer nor a notice"),
        ("long", "a line of more than"),
        ("version", ""),
    ],
)
def test_drv_010_what_is_no_answer_and_no_notice_is_an_error(verb: str, lie: str, says: str) -> None:
    async def work() -> None:
        async with connected(liar(lie, verb)) as (_, broker):
            await everything(broker)
            await everything(broker)

    with pytest.raises(DriverFailed) as failed:
        run(work())
    assert "wrote" in str(failed.value)
    assert says in str(failed.value)
    assert not isinstance(failed.value, EventproofError)


@pytest.mark.parametrize(("lie", "says"), [("event", "no event"), ("number", "for the second time")])
def test_drv_010_a_delivery_that_is_none_is_an_error(lie: str, says: str) -> None:
    async def work() -> None:
        async with connected(liar(lie, "next")) as (_, broker):
            with pytest.raises(DriverFailed, match=says):
                await everything(broker)
            with pytest.raises(DriverFailed, match=says):  # and so is every later call
                await broker.publish("t", EVENT)

    run(work())


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "next"])  # which can have it
def test_drv_010_an_outcome_that_a_request_cannot_have_is_an_error(verb: str) -> None:
    async def work() -> None:
        with pytest.raises(DriverFailed, match="Invalid value 'empty'"):
            async with connected(liar("once-empty", verb)) as (_, broker):
                await everything(broker)

    run(work())


def test_drv_010_every_open_call_ends_with_the_error() -> None:
    async def work() -> None:
        async with (
            connected(liar("prints", "publish")) as (_, broker),
            broker.subscribe("t", group="g") as subscription,
        ):
            delivery = await subscription.__anext__()
            found = await asyncio.gather(
                broker.publish("t", EVENT), broker.publish("t", EVENT), return_exceptions=True
            )
            assert [type(one) for one in found] == [DriverFailed, DriverFailed]
            for later in (delivery.ack(), subscription.__anext__()):
                assert isinstance(await settled(later), DriverFailed)

    run(work())


def test_drv_010_what_nobody_was_told_of_is_told_on_leaving(fifo: Path) -> None:
    async def work() -> None:
        async with connected(liar("twice", "publish", fifo)) as (running, broker):
            call = asyncio.ensure_future(broker.publish("t", EVENT))
            await written(call)
            blocking(fifo)
            await call
            running.kill()
            with pytest.raises(DriverFailed, match="no open request"):
                await running.ended()

    with pytest.raises(DriverFailed, match="no open request"):
        run(work())


def test_drv_010_the_record_of_an_error_quotes_what_was_written() -> None:
    async def work() -> None:
        with foreign("p0"):
            async with connected(liar("lines", "publish")) as (_, broker):
                await broker.publish("t", EVENT)

    with pytest.raises(ForeignError) as recorded:
        asyncio.run(work())
    assert "'warning: deprecated'" in recorded.value.trace


# DRV-011


@pytest.mark.parametrize("verb", ["publish", "subscribe", "next", "ack"])
def test_drv_011_a_request_that_is_not_answered_ends_with_its_caller(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "LEAVE", 0.05)

    async def work() -> None:
        async with connected(liar("silent", verb)) as (running, broker):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(everything(broker), 0.3)
        assert gone(running)

    run(work())


def test_drv_011_leaving_after_an_error_does_not_wait_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "LEAVE", 0.05)

    async def work() -> None:
        async with connected(liar("silent", "close")) as (_, broker):
            await broker.publish("t", EVENT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(work())


def test_drv_011_a_driver_that_does_not_say_hello_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HELLO", 0.2)

    async def work() -> None:
        with pytest.raises(DriverNotReady, match=r"did not answer hello within 0\.2 s"):
            async with open_process(liar("silent")):
                pass

    run(work())


def test_drv_011_a_connection_that_is_never_open_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "START", 0.2)

    async def work() -> None:
        with pytest.raises(Unreachable, match="did not answer start"):
            async with connected(liar("silent", "start")):
                pass

    run(work())


@pytest.mark.parametrize("lie", ["stays", "closes"])
def test_drv_011_a_process_that_does_not_end_is_killed(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "GRACE", 0.2)

    async def work() -> None:
        async with open_process(liar(lie, "publish")) as running, running.connect("memory://") as broker:
            if lie == "closes":
                with pytest.raises(DriverFailed, match="closed its standard output, and had not ended"):
                    await broker.publish("t", EVENT)
                with pytest.raises(DriverFailed):
                    await running.ended()
        assert gone(running)

    run(work())


# DRV-012


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", [0, 3])
def test_drv_012_a_driver_that_ends_by_itself_is_an_error_with_its_last_words(verb: str, status: int) -> None:
    async def work() -> None:
        with pytest.raises(
            DriverFailed, match=f"out of luck\nthe driver ended by itself, with status {status}"
        ):
            async with connected(liar("exits", verb, status)) as (_, broker):
                await everything(broker)

    run(work())


def test_drv_012_a_signal_that_was_not_ours_is_no_kill_of_ours() -> None:
    async def work() -> None:
        with pytest.raises(DriverFailed, match="with status -9"):
            async with connected(liar("killed", "publish")) as (_, broker):
                await broker.publish("t", EVENT)

    run(work())


def test_drv_012_a_driver_that_was_dead_before_the_kill_was_not_killed(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_process(liar("exits", "publish", 3)) as running:
            context = running.connect("memory://")
            broker = await context.__aenter__()
            call = asyncio.ensure_future(broker.publish("t", EVENT))
            await asyncio.wait({call})
            running.kill()
            with pytest.raises(DriverFailed, match="with status 3"):
                await running.ended()
            assert isinstance(call.exception(), DriverFailed)
            await context.__aexit__(None, None, None)  # there is nothing to leave, and nobody to tell again

    run(work())


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("/nowhere/at/all",), "cannot be started: No such file"),
        (liar("exits"), "ended by itself, with status 1, before the handshake: out of luck"),
        (liar("version"), "speaks version 2 of the driver protocol; this is version 1"),
        (liar("rejected"), "refuses: too old; this is version 1"),
        (liar("prints"), "wrote no line of the protocol"),
        (
            (*SERVED, "--adapter", "json:nothing"),
            "with status 3, before the handshake: eventproof: json has no",
        ),
    ],
)
def test_a_driver_that_cannot_be_used_is_told_in_one_line(command: tuple[str, ...], says: str) -> None:
    async def work() -> None:
        with pytest.raises(DriverNotReady) as refused:
            async with open_process(command):
                pass
        assert says in str(refused.value)
        assert "\n" not in str(refused.value)

    run(work())


# DRV-013


def blocking(fifo: Path) -> None:
    """Wait until a liar has told its lie; the event loop stands still meanwhile, and reads nothing."""
    with fifo.open("rb") as told:
        told.read()


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


async def written(call: asyncio.Future[Any]) -> None:
    """Let a call begin, which writes its request."""
    await asyncio.wait({call}, timeout=0)


def test_drv_013_what_was_answered_before_the_kill_is_read(fifo: Path) -> None:
    async def work() -> None:
        async with connected(liar("answers", "publish", fifo)) as (running, broker):
            order = []
            call = asyncio.ensure_future(broker.publish("t", EVENT))
            call.add_done_callback(lambda _: order.append("answer"))
            await written(call)
            blocking(fifo)
            running.kill()
            await running.ended()
            order.append("ended")
            assert await call == Receipt("7", None, None)
            assert order == ["answer", "ended"]

    run(work())


def test_drv_013_a_delivery_that_was_handed_out_before_the_kill_is_read(fifo: Path) -> None:
    async def work() -> None:
        async with (
            connected(liar("lost", "next", fifo)) as (running, broker),
            broker.subscribe("t", group="g") as subscription,
        ):
            wait = asyncio.ensure_future(subscription.__anext__())
            await written(wait)
            blocking(fifo)
            running.kill()
            await running.ended()
            delivery = await wait
            assert delivery.lost  # the notice was read too
            assert isinstance(await settled(delivery.ack()), Indeterminate)
            assert isinstance(await settled(subscription.__anext__()), SessionLost)

    run(work())


def test_drv_013_a_line_that_was_cut_off_is_none(fifo: Path) -> None:
    async def work() -> None:
        async with connected(liar("half", "publish", fifo)) as (running, broker):
            call = asyncio.ensure_future(broker.publish("t", EVENT))
            await written(call)
            blocking(fifo)
            running.kill()
            await running.ended()
            assert isinstance(await settled(call), Indeterminate)

    run(work())


def test_drv_013_what_is_malformed_in_the_pipe_is_an_error_also_after_the_kill(fifo: Path) -> None:
    async def work() -> None:
        async with connected(liar("outcome", "publish", fifo)) as (running, broker):
            call = asyncio.ensure_future(broker.publish("t", EVENT))
            await written(call)
            blocking(fifo)
            running.kill()
            with pytest.raises(DriverFailed):
                await running.ended()
            assert isinstance(await settled(call), DriverFailed)

    run(work())


def test_drv_013_each_open_call_ends_as_the_port_has_it() -> None:
    async def work() -> None:
        async with connected(SERVED) as (running, broker):
            await broker.publish("t", EVENT)
            async with broker.subscribe("t", group="g") as subscription:
                delivery = await subscription.__anext__()
                running.freeze()
                calls = [broker.publish("t", EVENT), delivery.ack(), subscription.__anext__()]
                calls.append(broker.subscribe("t", group="h").__aenter__())
                tasks = [asyncio.ensure_future(call) for call in calls]
                await asyncio.wait(tasks, timeout=0)
                running.kill()
                await running.ended()
                found = [await settled(task) for task in tasks]
                assert list(map(type, found)) == [type(found[0])] * 2 + [SessionLost, type(found[0])]
                assert isinstance(found[0], Indeterminate)
                for later in (broker.publish("t", EVENT), delivery.nack()):
                    assert isinstance(await settled(later), Indeterminate)
            with pytest.raises(Unreachable):
                async with running.connect("memory://"):
                    pass
        assert gone(running)

    run(work())


# frozen, cancelled


def state(running: process.Process) -> str:
    return Path(f"/proc/{running.pid}/stat").read_text().split()[2]


def test_a_frozen_process_does_nothing_and_goes_on_when_it_is_thawed() -> None:
    async def work() -> None:
        async with connected(SERVED) as (running, broker):
            running.freeze()
            assert state(running) == "T"
            call = asyncio.ensure_future(broker.publish("t", EVENT))
            await asyncio.wait({call}, timeout=0.1)
            assert not call.done()
            running.thaw()
            assert (await call).duplicate is False

    run(work())


def test_a_frozen_process_is_closed_all_the_same() -> None:
    async def work() -> None:
        async with open_process(SERVED) as running:
            running.freeze()
        assert gone(running)

    run(work())


def test_a_cancelled_wait_leaves_its_delivery_to_the_next_one() -> None:
    async def work() -> None:
        async with connected(SERVED) as (_, broker), broker.subscribe("t", group="g") as subscription:
            wait = asyncio.ensure_future(subscription.__anext__())
            await written(wait)
            wait.cancel()
            await asyncio.wait({wait})
            await broker.publish("t", EVENT)
            delivery = await asyncio.wait_for(subscription.__anext__(), 5)
            assert (delivery.event, delivery.attempt) == (EVENT, 1)
            async with delivery as event:
                assert event == EVENT

    run(work())


def test_several_tasks_may_wait_and_each_event_goes_to_one() -> None:
    async def work() -> None:
        async with connected(SERVED) as (_, broker), broker.subscribe("t", group="g") as subscription:
            waits = [asyncio.ensure_future(subscription.__anext__()) for _ in range(4)]
            await asyncio.wait(waits, timeout=0)
            waits.pop(1).cancel()
            for name in "abc":
                await broker.publish("t", Event(source="/tests", type="a.b", id=name))
            done, _ = await asyncio.wait(waits, timeout=5)
            assert sorted(wait.result().event.id for wait in done) == ["a", "b", "c"]

    run(work())


def test_a_cancelled_call_is_answered_later_and_nobody_minds() -> None:
    async def work() -> None:
        async with connected(SERVED) as (running, broker):
            running.freeze()
            entering = asyncio.ensure_future(broker.subscribe("t", group="g").__aenter__())
            publish = asyncio.ensure_future(broker.publish("t", EVENT))
            await asyncio.wait({entering, publish}, timeout=0)
            entering.cancel()
            publish.cancel()
            await asyncio.wait({entering, publish})
            running.thaw()
            assert (await broker.publish("u", EVENT)).duplicate is False

    run(work())


def test_a_cancelled_run_leaves_no_process() -> None:
    async def work() -> None:
        started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def hold() -> None:
            async with connected(SERVED) as (running, _):
                started.set_result(running)
                await asyncio.get_running_loop().create_future()

        task = asyncio.ensure_future(hold())
        running = await started
        task.cancel()
        await asyncio.wait({task})
        assert gone(running)

    run(work())
