"""The suite's end of a driver: what it believes, calls an error and does not wait for (DRV-010 to 012)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from eventproof.adapters.errors import EventproofError, Unreachable
from eventproof.adapters.port import Receipt
from eventproof.conformance.driver import broker as port
from eventproof.conformance.driver import child, process
from eventproof.conformance.driver.exchange import DriverFailed
from eventproof.conformance.driver.process import DriverNotReady, open_process
from eventproof.conformance.foreign import ForeignError, foreign
from tests.conformance.driver.drivers import (
    EVENT,
    SERVED,
    blocking,
    connected,
    gone,
    liar,
    run,
    settled,
    written,
)

pytestmark = pytest.mark.usefixtures("nothing_is_left")
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
