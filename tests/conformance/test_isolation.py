"""However a run with faults ends: no process that it has started is left, no socket, and no folder."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from eventproof.conformance.scenario import Fault, Group, Publish, Scenario, encode
from eventproof.conformance.targets import serverfolder
from eventproof.conformance.targets.natsserver import NatsServer
from tests.conformance.somebodys import Called, called

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and the kernel's help are Linux's")

MARK = "EVENTPROOF_TESTED_RUN"
BROKEN = 3
WORDS = ("run", "nats", "--tier", "fault", "--report", "out")
DRIVER, SERVER = "eventproof.conformance.driver", "nats-server"
BEGINS, ENDS = 30.0, 12.0  # seconds
CACHE = "hypothesis"  # which that library keeps in the folder for what is temporary, under one name for all
FROZEN = Scenario(
    publishers=((Publish(call=1, event=1),),),
    groups=(Group(),),
    faults=(Fault(do="freeze", after="publish.invoke", ticks=6),),
)


class Started:
    """A run and all that it has started: whoever inherited its mark, wherever it hangs by now."""

    def __init__(self, run: Called, mark: str) -> None:
        self.run = run
        self._mark = f"{MARK}={mark}".encode()

    @property
    def pid(self) -> int:
        return self.run.process.pid

    def processes(self) -> dict[int, str]:
        """Those that live, but for the run itself, each with its command line."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if int(entry.name) != self.pid and self._mark in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def of(self, name: str) -> list[int]:
        return [pid for pid, line in self.processes().items() if name in line]

    def stopped(self) -> list[int]:
        """Those that stand still."""
        return [pid for pid in self.processes() if state(pid) == "T"]

    def folders(self) -> list[Path]:
        parents = {serverfolder.roomiest(), Path("/tmp"), Path("/dev/shm")}
        return [folder for parent in parents for folder in parent.glob(f"eventproof-*-{self.pid}-*")]

    def ports(self) -> list[int]:
        """Those that its server listens on."""
        texts = [path.read_text() for folder in self.folders() for path in folder.glob("*.ports")]
        return [int(port) for text in texts for port in re.findall(r"127\.0\.0\.1:(\d+)", text)]


def state(pid: int) -> str:
    """The kernel's letter for what a process does; empty if there is none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def closed(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


@asynccontextmanager
async def started(folder: Path, *words: object) -> AsyncIterator[Started]:
    """A run with folders of its own for all that is temporary."""
    mark, temporary = str(uuid4()), folder / "tmp"
    temporary.mkdir()
    env = {**os.environ, MARK: mark, "TMPDIR": str(temporary)}
    async with called(folder, *words, env=env) as run:
        yield Started(run, mark)


async def until(condition: Callable[[], object], seconds: float) -> None:
    """Look every now and then: nobody tells what becomes of somebody else's children."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "it did not come about"
        await asyncio.sleep(0.02)


def halted(began: Started) -> bool:
    """Whether its server stands still by now, which may have been about to be started anew."""
    for pid in began.of(SERVER):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    return bool(set(began.of(SERVER)) & set(began.stopped()))


def left(began: Started, folder: Path, ports: list[int]) -> list[object]:
    """What of a run is still there: command lines, ports, folders."""
    open_ports = [port for port in ports if not closed(port)]
    return [*began.processes().values(), *open_ports, *began.folders(), *temporary(folder)]


def temporary(folder: Path) -> list[Path]:
    return [path for path in (folder / "tmp").iterdir() if path.name != CACHE]


def test_cnf_015_a_run_that_ends_by_itself_leaves_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with started(tmp_path, *WORDS, "--scenarios", 2, "--seed", 7) as began:
            await until(lambda: began.of(SERVER) and began.of(DRIVER) and began.ports(), BEGINS)
            ports = began.ports()
            assert await began.run.ended() in {0, 2}
            assert left(began, tmp_path, ports) == []

    asyncio.run(story())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_also_of_what_stands_still(
    tmp_path: Path, how: signal.Signals
) -> None:
    async def story() -> None:
        async with started(tmp_path, *WORDS, "--scenarios", 40) as began:
            await until(lambda: set(began.of(DRIVER)) & set(began.stopped()), BEGINS)
            ports = began.ports()
            began.run.process.send_signal(how)
            assert await asyncio.wait_for(began.run.ended(), ENDS) == BROKEN
            assert began.run.out == ""
            assert began.run.err.endswith("eventproof: interrupted\n")
            assert left(began, tmp_path, ports) == []

    asyncio.run(story())


def test_an_interrupted_replay_whose_server_is_frozen_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "frozen.json").write_bytes(encode(FROZEN))

    async def story() -> None:
        async with started(tmp_path, "replay", "frozen.json", "nats") as began:
            await until(lambda: set(began.of(SERVER)) & set(began.stopped()), BEGINS)
            ports = began.ports()
            began.run.process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(began.run.ended(), ENDS) == BROKEN
            assert left(began, tmp_path, ports) == []

    asyncio.run(story())


def test_cnf_015_of_a_killed_run_only_a_folder_is_left_that_the_next_one_removes(tmp_path: Path) -> None:
    async def story() -> None:
        async with started(tmp_path, *WORDS, "--scenarios", 40) as began:
            await until(lambda: set(began.of(DRIVER)) & set(began.stopped()), BEGINS)
            await until(lambda: halted(began), ENDS)
            ports = began.ports()
            began.run.process.kill()
            await began.run.process.wait()
            await until(lambda: not began.processes(), ENDS)
            assert all(map(closed, ports))
            assert temporary(tmp_path) == []
            await NatsServer().remove()
            assert began.folders() == []

    asyncio.run(story())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_of_a_killed_selftest_nothing_is_left(tmp_path: Path, how: signal.Signals) -> None:
    async def story() -> None:
        async with started(tmp_path, "selftest", "--scenarios", 2000) as began:
            await until(lambda: began.of("spawn_main"), BEGINS)
            began.run.process.send_signal(how)
            await began.run.process.wait()
            await until(lambda: not began.processes(), ENDS)

    asyncio.run(story())
