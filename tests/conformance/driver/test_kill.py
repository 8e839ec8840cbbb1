"""What is known of a process that was killed, frozen or asked in vain (DRV-013)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from eventproof.adapters.errors import Indeterminate, SessionLost, Unreachable
from eventproof.adapters.port import Receipt
from eventproof.conformance.driver.exchange import DriverFailed
from eventproof.conformance.driver.process import Process, open_process
from eventproof.schemas.event import Event
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


# DRV-013


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


def state(running: Process) -> str:
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
