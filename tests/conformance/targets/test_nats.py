from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys

import pytest

from eventproof.adapters.errors import Rejected, Unsupported
from eventproof.adapters.policy import Policy
from eventproof.conformance.targets import natsserver, serverfolder
from eventproof.conformance.targets.nats import NatsTarget, connect
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.conformance.targets.ownserver import MissingServer, ServerFailed
from eventproof.schemas.event import Event


def event(call, key, **more):
    extensions = {"eventproofcall": str(call), "partitionkey": key} | more
    return Event(source="/s", type="a.b", id=str(call), data=call, extensions=extensions)


def test_the_counters_the_log_and_the_positions_tell_what_happened():
    async def story():
        target = NatsTarget()
        async with target.start(None) as url, connect(url) as broker:
            assert target.max_payload == broker.claims.flow.max_payload
            assert target.versions()["nats-server"].count(".") == 2
            await target.provision("t", partitions=3, window=5.0)
            await target.provision("empty", partitions=1, window=None)
            for call in range(1, 7):
                await broker.publish("t", event(call, str(call % 3)))
            async with broker.subscribe("t", group="g", policy=Policy(backoff=(5.0,))) as session:
                assert await target.idle("t", "g") == {"pending": 6, "in_flight": 0, "last": 6}
                waiting = {0: "0", 1: "0", 2: "0"}
                assert await target.positions("t", "g") == waiting
                first = await asyncio.wait_for(session.__anext__(), 2)
                await first.ack()
                nacked = await asyncio.wait_for(session.__anext__(), 2)
                await nacked.nack()
                assert (await target.positions("t", "g"))[first.partition] == first.position
                counters = await target.idle("t", "g")
                assert counters["pending"] + counters["in_flight"] == 5
                assert counters["in_flight"] >= 1, "a delayed redelivery is in flight"
            log = await target.read_log("t")
            assert [entry.call for entry in log] == [1, 2, 3, 4, 5, 6]
            assert [entry.position for entry in log] == ["1", "2", "3", "4", "5", "6"]
            assert len({entry.partition for entry in log[:3]} | {0, 1, 2}) == 3
            assert {e.partition for e in log if e.position == first.position} == {first.partition}
            assert await target.read_log("empty") == []
            with pytest.raises(Rejected, match="conflict"):
                await target.provision("t", partitions=2, window=5.0)
            await target.remove(["t", "empty", "never"])
            with pytest.raises(Rejected, match="no-topic"):
                await target.idle("t", "g")

    asyncio.run(story())


def test_a_log_of_several_batches_is_read_whole():
    async def story():
        target = NatsTarget()
        async with target.start(None) as url, connect(url) as broker:
            await target.provision("t", partitions=4, window=None)
            await asyncio.gather(*(broker.publish("t", event(call, "k")) for call in range(1, 1201)))
            assert [entry.call for entry in await target.read_log("t")] == list(range(1, 1201))

    asyncio.run(story())


def test_a_restart_keeps_address_and_data():
    async def story():
        target = NatsTarget()
        async with target.start(None) as url:
            await target.provision("t", partitions=1, window=None)
            async with connect(url) as broker:
                await broker.publish("t", event(1, "k"))
            before = target.server.pid
            await target.restart()
            assert target.server.pid != before
            assert target.server.url == url
            assert [entry.call for entry in await target.read_log("t")] == [1]
            async with connect(url) as broker:
                again = await broker.publish("t", event(1, "k"))
            assert again.duplicate

    asyncio.run(story())


def test_a_given_server_is_used_and_never_restarted_or_stopped():
    async def story():
        server = NatsServer()
        try:
            await server.start()
            target = NatsTarget()
            async with target.start(server.url) as url:
                assert url == server.url
                await target.provision("t", partitions=1, window=None)
                with pytest.raises(Unsupported):
                    await target.restart()
            async with connect(url) as broker:
                await broker.publish("t", event(1, "k"))
        finally:
            await server.remove()

    asyncio.run(story())


def test_nothing_is_left_of_a_server():
    async def story():
        server = NatsServer()
        await server.start()
        folder, pid = server._folder, server.pid
        assert folder.is_dir()
        await server.remove()
        await server.remove()
        assert not folder.exists()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(story())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_server_dies_with_a_process_that_is_killed():
    code = """
import asyncio, sys
from eventproof.conformance.targets.natsserver import NatsServer
server = NatsServer()
asyncio.run(server.start())
print(server.pid, server._folder, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid, folder = parent.stdout.readline().split()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        try:
            asyncio.run(asyncio.wait_for(ended(int(pid)), 5))
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # the next server that starts removes it too


async def ended(pid):
    """Wait for the end of a process that is no child of ours."""
    over = asyncio.Event()
    handle = os.pidfd_open(pid)
    asyncio.get_running_loop().add_reader(handle, over.set)
    await over.wait()
    os.close(handle)


def test_a_missing_server_says_what_to_install(monkeypatch):
    def nothing(name):
        raise natsserver.PackageNotFoundError(name)

    monkeypatch.setattr(natsserver, "distribution", nothing)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingServer, match=r"pip install 'eventproof\[servers\]'"):
        NatsServer()


def test_a_server_that_does_not_start_tells_why():
    class Broken(NatsServer):
        config = NatsServer.config + "jetstream: what\n"

    async def story():
        server = Broken()
        try:
            with pytest.raises(ServerFailed, match="ended with status 1"):
                await server.start()
        finally:
            await server.remove()

    asyncio.run(story())


def test_what_a_killed_run_left_behind_is_removed_by_the_next(monkeypatch, tmp_path):
    monkeypatch.setattr(serverfolder, "roomiest", lambda: tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    stale = tmp_path / f"eventproof-nats-{int(ended.stdout)}-left"
    alive = tmp_path / f"eventproof-nats-{os.getpid()}-used"
    foreign = tmp_path / "eventproof-nats-of-somebody"
    for folder in (stale, alive, foreign):
        folder.mkdir()
    NatsServer()
    assert not stale.exists()
    assert alive.exists()
    assert foreign.exists()
