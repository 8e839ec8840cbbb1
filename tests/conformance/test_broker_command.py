"""`eventproof broker start`: a real process, ended by a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eventproof.adapters.errors import Unreachable
from eventproof.adapters.nats import connect, provision
from eventproof.conformance.targets.javaruntime import find_java
from eventproof.conformance.targets.kafkaarchive import find_archive
from eventproof.conformance.targets.kafkajars import find_jars
from eventproof.conformance.targets.ports import listened_on
from eventproof.schemas.event import Event

PATIENCE = 20


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running command, and the first line it prints."""
    command = Path(sys.executable).with_name("eventproof")
    words = [command, "broker", "start", *map(str, arguments)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


async def publish(url: str, number: int) -> str | None:
    await provision(url, "orders", partitions=2)
    async with connect(url) as broker:
        event = Event(source="/tests", type="order.created", id=str(number), data=number)
        return (await broker.publish("orders", event)).position


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_an_url_that_serves_until_it_is_told_to_stop(how: signal.Signals) -> None:
    with started("nats") as (process, url):
        assert url.startswith("nats://127.0.0.1:")
        assert asyncio.run(publish(url, 1)) == "1"
        process.send_signal(how)
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
        with pytest.raises(Unreachable):
            asyncio.run(publish(url, 2))


def test_with_a_folder_the_data_is_there_the_next_time(tmp_path: Path) -> None:
    for number in (1, 2):
        with started("nats", "--folder", tmp_path / "new" / "data") as (process, url):
            assert asyncio.run(publish(url, number)) == str(number)
            process.terminate()
            assert process.wait(PATIENCE) == 0


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    with started("nats") as (_, url):
        port = url.rpartition(":")[2]
        with started("nats", "--port", port) as (process, first):
            out, told = process.communicate(timeout=PATIENCE)
            assert (first, out, process.returncode) == ("", "", 3)
            assert "address already in use" in told
            assert "Traceback" not in told


def listening(url: str) -> bool:
    """Whether anybody listens on the first port of the URL."""
    return listened_on(int(url.partition(",")[0].rpartition(":")[2]))


@pytest.mark.timeout(400)  # it may have to be fetched first
@pytest.mark.parametrize("words", [("kafka",), ("kafka", "--nodes", "3")])
def test_kafka_serves_until_it_is_told_to_stop(words: tuple[str, ...]) -> None:
    prepared()
    with started(*words) as (process, url):
        assert url.startswith("kafka://127.0.0.1:")
        assert listening(url)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert not listening(url)


@pytest.mark.timeout(400)
def test_a_port_that_kafka_finds_taken_is_one_clear_error() -> None:
    prepared()
    with (
        started("nats") as (_, url),
        started("kafka", "--port", url.rpartition(":")[2]) as (process, first),
    ):
        out, told = process.communicate(timeout=PATIENCE)
        assert (first, out, process.returncode) == ("", "", 3)
        assert told.startswith("eventproof: [Errno")
        assert "Address already in use" in told
        assert told.count("\n") == 1


@pytest.mark.timeout(400)
def test_a_kafka_that_cannot_be_had_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with started("kafka") as (process, first):
        out, told = process.communicate(timeout=PATIENCE)
        assert (first, out, process.returncode) == ("", "", 3)
        assert told.startswith(f"eventproof: KAFKA_HOME is {tmp_path}: there is no kafka_2.13")
        assert told.count("\n") == 1


def test_three_nodes_are_for_kafka() -> None:
    with started("nats", "--nodes", 3) as (process, first):
        _, told = process.communicate(timeout=PATIENCE)
        assert (first, process.returncode) == ("", 4)
        assert "--nodes 3 is for kafka" in told


def prepared() -> None:
    """What the command does this once, it has done."""
    find_archive(find_java(), find_jars())


def test_a_server_that_dies_ends_the_command() -> None:
    with started("nats") as (process, _):
        server = subprocess.check_output(["pgrep", "-P", str(process.pid)], text=True)
        os.kill(int(server), signal.SIGKILL)
        _, told = process.communicate(timeout=PATIENCE)
        assert process.returncode == 3
        assert told.startswith("eventproof: nats-server ended with status -9")
