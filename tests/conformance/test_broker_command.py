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


def test_a_server_that_dies_ends_the_command() -> None:
    with started("nats") as (process, _):
        server = subprocess.check_output(["pgrep", "-P", str(process.pid)], text=True)
        os.kill(int(server), signal.SIGKILL)
        _, told = process.communicate(timeout=PATIENCE)
        assert process.returncode == 3
        assert told.startswith("eventproof: nats-server ended with status -9")
