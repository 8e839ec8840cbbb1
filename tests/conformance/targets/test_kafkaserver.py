"""An Apache Kafka of our own: what befalls it, what it keeps, and what it leaves."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from eventproof.conformance.targets import kafkaarchive, serverfolder
from eventproof.conformance.targets.kafkajars import find_jars
from eventproof.conformance.targets.kafkaserver import KafkaServer, reason
from eventproof.conformance.targets.ownserver import ServerFailed
from eventproof.conformance.targets.ports import listened_on
from tests.conformance.targets.kafkaclient import TOPIC, address, create, producing, publish, stored

pytestmark = pytest.mark.timeout(400)  # the first one may have to fetch it
SESSION = 1.0  # seconds, of a node with its own controller


@asynccontextmanager
async def started(**given) -> AsyncIterator[KafkaServer]:
    server = KafkaServer(**given)
    try:
        await server.start()
        yield server
    finally:
        await server.remove()


def on_server(story: Callable[[KafkaServer], Awaitable[None]], **given) -> None:
    """Tell it with a server that has the topic and one event."""

    async def work() -> None:
        async with started(**given) as server:
            await create(server.url)
            await publish(server.url, b"1")
            await story(server)

    asyncio.run(work())


def gone(pid: int | None) -> bool:
    return not Path(f"/proc/{pid}").exists()


def using(folder: Path) -> list[Path]:
    """The processes whose command line names it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(entry)
    return found


def port_of(server: KafkaServer) -> int:
    return int(server.url.rpartition(":")[2])


# what befalls it


def test_a_killed_server_comes_back_with_its_address_and_data() -> None:
    async def story(server: KafkaServer) -> None:
        pid, url = server.pid, server.url
        for value in (b"2", b"3"):
            server.kill()
            await server.revive()
            assert (gone(pid), server.url) == (True, url)
            await publish(url, value)
        assert await stored(url) == [b"1", b"2", b"3"]

    on_server(story)


def test_a_restarted_server_is_another_process_with_the_same_data() -> None:
    async def story(server: KafkaServer) -> None:
        pid, url = server.pid, server.url
        await server.restart()
        assert (gone(pid), server.url) == (True, url)
        await publish(url, b"2")
        assert await stored(url) == [b"1", b"2"]

    on_server(story)


def test_a_frozen_server_answers_nobody_until_it_goes_on() -> None:
    async def story(server: KafkaServer) -> None:
        async with producing(server.url) as producer:
            await producer.send_and_wait(TOPIC, b"2")
            server.freeze()
            sending = asyncio.ensure_future(producer.send_and_wait(TOPIC, b"3"))
            done, _ = await asyncio.wait({sending}, timeout=1.5 * SESSION)
            assert done == set()
            server.thaw()
            await asyncio.wait_for(sending, 20)
        assert await stored(server.url) == [b"1", b"2", b"3"]

    on_server(story)


def test_groups_and_transactions_go_on_as_soon_as_it_is_back() -> None:
    partition = TopicPartition(TOPIC, 0)

    async def commit(url: str, offset: int) -> int:
        """Commit within a transaction of a group's; what was committed before."""
        async with producing(url, transactional_id="id", acks="all") as producer:
            consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=address(url), group_id="g")
            await consumer.start()
            before = await consumer.committed(partition)
            await consumer.stop()
            async with producer.transaction():
                await producer.send(TOPIC, b"more")
                await producer.send_offsets_to_transaction({partition: offset}, "g")
        return before or 0

    async def story(server: KafkaServer) -> None:
        assert await asyncio.wait_for(commit(server.url, 1), 10) == 0
        server.kill()
        await server.revive()
        assert await asyncio.wait_for(commit(server.url, 2), 10) == 1

    on_server(story)


def test_servers_beside_each_other_have_nothing_in_common() -> None:
    async def story(one: KafkaServer) -> None:
        async with started() as other:
            assert one.url != other.url
            await create(other.url)
            await publish(other.url, b"other")
            one.kill()
            assert await stored(other.url) == [b"other"]
            await one.revive()
            assert await stored(one.url) == [b"1"]

    on_server(story)


# how it is made


def test_with_a_folder_the_data_is_there_the_next_time(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"

    async def story(server: KafkaServer) -> None:
        await server.remove()
        async with started(folder=folder) as again:
            assert await stored(again.url) == [b"1"]

    on_server(story, folder=folder)


def test_the_largest_message_and_other_settings_are_as_given() -> None:
    async def story(server: KafkaServer) -> None:
        async with producing(server.url, max_request_size=1 << 20) as producer:
            await producer.send_and_wait(TOPIC, bytes(9_000))
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send_and_wait(TOPIC, bytes(10_001))
        text = (server._folder / "server.properties").read_text()
        assert "log.flush.interval.messages=1\n" in text

    on_server(story, max_payload=10_000, settings={"log.flush.interval.messages": "1"})


def test_clients_that_have_to_say_who_they_are_have_a_port_of_their_own() -> None:
    login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_billing="secret";'
    settings = {
        "listener.name.secured.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secured.plain.sasl.jaas.config": login,
    }

    async def story(server: KafkaServer) -> None:
        url = f"kafka://127.0.0.1:{server.secured_port}"
        known = {"security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": "billing"}
        async with producing(url, **known, sasl_plain_password="secret") as producer:
            await producer.send_and_wait(TOPIC, b"2")
        with pytest.raises(KafkaConnectionError):
            async with producing(url, **known, sasl_plain_password="wrong"):
                pass
        await server.restart()
        assert await stored(server.url) == [b"1", b"2"]

    on_server(story, settings=settings, secured="SASL_PLAINTEXT")


def test_an_installation_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "libs").symlink_to(find_jars()[0].parent)
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    monkeypatch.setattr(kafkaarchive, "find_archive", lambda *_: None)

    async def story(server: KafkaServer) -> None:
        assert using(tmp_path) == [Path(f"/proc/{server.pid}")]

    on_server(story)


def test_a_server_that_cannot_start_tells_why_on_one_line() -> None:
    async def work(**settings: str) -> str:
        server = KafkaServer(settings=settings)
        try:
            with pytest.raises(ServerFailed) as told:
                await server.start()
        finally:
            await server.remove()
        return str(told.value)

    refused = asyncio.run(work(**{"log.retention.hours": "soon"}))
    ended = asyncio.run(work(**{"metric.reporters": "what.is.that"}))
    assert refused.startswith("Apache Kafka has no storage: ")
    assert "soon" in refused
    assert ended.startswith("Apache Kafka ended with status 1: ")
    assert "what.is.that" in ended
    assert "\n" not in refused + ended


def test_a_port_that_is_taken_is_told_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def story(server: KafkaServer) -> None:
        monkeypatch.setattr(serverfolder, "roomiest", lambda: tmp_path)
        with pytest.raises(OSError, match=f"port {port_of(server)} of 127.0.0.1: Address already in use"):
            KafkaServer(port=port_of(server))

    on_server(story)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_ends_by_itself_is_told_of() -> None:
    async def story(server: KafkaServer) -> None:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ServerFailed, match="Apache Kafka ended with status -9: "):
            await asyncio.wait_for(server.ended(), 10)

    on_server(story)


def test_a_server_that_is_stopped_has_ended_in_order() -> None:
    async def story(server: KafkaServer) -> None:
        ended = asyncio.ensure_future(server.ended())
        await asyncio.sleep(0)
        await server.stop()
        await asyncio.wait_for(ended, 10)

    on_server(story)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("", "it said nothing"),
        ("WARNING: of Java\n\nError: no memory\n", "Error: no memory"),
        (
            "2 ERROR A: first\n2 ERROR B: last\njava.lang.X: why\n\tat B.c(B.java:1)\n3 INFO C: shut down\n",
            "2 ERROR B: last; java.lang.X: why",
        ),
        (
            "2 ERROR A: odd\n2 ERROR B: Fatal error\njava.lang.X: why\n3 ERROR C: fatal too\n",
            "2 ERROR B: Fatal error; java.lang.X: why",
        ),
    ],
)
def test_the_reason_is_the_last_error_with_its_exception(log: str, told: str) -> None:
    assert reason(log) == told


# what it leaves


def test_nothing_is_left_of_a_server() -> None:
    async def story(server: KafkaServer) -> None:
        folder, pid, port = server._folder, server.pid, port_of(server)
        assert folder.is_dir()
        await server.remove()
        await server.remove()
        assert (folder.exists(), gone(pid), listened_on(port)) == (False, True, False)

    on_server(story)


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_the_end_takes_no_longer_with_a_server_that_is_dead_or_frozen(fault: str) -> None:
    async def story(server: KafkaServer) -> None:
        folder, pid = server._folder, server.pid
        getattr(server, fault)()
        await asyncio.wait_for(server.remove(), 8)
        assert (folder.exists(), gone(pid)) == (False, True)

    on_server(story)


@pytest.mark.parametrize("moment", ["meta.properties", "server.out"])
def test_a_start_that_is_cancelled_leaves_nothing(moment: str) -> None:
    async def work() -> None:
        server = KafkaServer()
        folder = server._folder
        starting = asyncio.ensure_future(server.start())
        while not any(folder.rglob(moment)):  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.001)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await server.remove()
        assert (folder.exists(), using(folder)) == (False, [])

    asyncio.run(work())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_server_dies_with_a_process_that_is_killed() -> None:
    code = """
import asyncio, sys
from eventproof.conformance.targets.kafkaserver import KafkaServer
server = KafkaServer()
asyncio.run(server.start())
print(server.pid, server._folder, server.url, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, folder, url = parent.stdout.readline().split()
        assert listened_on(int(url.rpartition(":")[2]))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        try:
            asyncio.run(asyncio.wait_for(ended(int(pid)), 10))
            assert not listened_on(int(url.rpartition(":")[2]))
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # the next server that starts removes it too


async def ended(pid: int) -> None:
    """Wait for the end of a process that is no child of ours."""
    over = asyncio.Event()
    handle = os.pidfd_open(pid)
    asyncio.get_running_loop().add_reader(handle, over.set)
    await over.wait()
    os.close(handle)
