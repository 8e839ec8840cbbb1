"""A secret is in nothing that the suite says or writes, however a run ends."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from eventproof.adapters.secret import hide
from eventproof.conformance.foreign import ForeignError, foreign
from eventproof.conformance.targets.natsserver import NatsServer
from tests.conformance.somebodys import Called, eventproof, somebodys

CONFORMANT, FAILED, PARTIAL, BROKEN, USAGE = range(5)
PASSWORD = "swordfish-1.2"
USER = f"admin:{PASSWORD}@"
TELLS = """
from contextlib import asynccontextmanager
from eventproof import Indeterminate, Rejected, SessionLost
from eventproof.conformance.targets import nats
from eventproof.conformance.targets.nats import target

class Tells:
    def __init__(self, broker, url):
        self._broker, self.claims, self._url = broker, broker.claims, url
    async def publish(self, topic, event):
        if event.id not in ("event-1", "event-2"):
            return await self._broker.publish(topic, event)
        raise {error}
    def subscribe(self, topic, **given):
        return self._broker.subscribe(topic, **given)

@asynccontextmanager
async def connect(url, **options):
    async with nats.connect(url, **options) as broker:
        yield Tells(broker, url)
"""
ERRORS = {
    "not of the port": 'ValueError("cannot publish to " + self._url + " with sword" + "fish-1.2")',
    "of the port": """{
            "event-1": Rejected("sword" + "fish-1.2", "as " + self._url),
            "event-2": Indeterminate(self._url + " is away"),
        }[event.id]""",
    "out of place": 'SessionLost("sword" + "fish-1.2")',
}


class Guarded(NatsServer):
    config = NatsServer.config + f'authorization {{{{ user: admin, password: "{PASSWORD}" }}}}\n'


def silent(folder: Path, run: Called) -> None:
    """The password is neither in what was said nor in any file."""
    written = [path for path in folder.rglob("*") if path.is_file() and path.name != "theirs.py"]
    for said in (run.out, run.err, *(path.read_text() for path in written)):
        assert "swordfish" not in said


async def run_on(folder: Path, *words: object, user: str = USER) -> tuple[int, Called]:
    """A command with the URL in a variable. user: what the URL says before the host."""
    async with somebodys(Guarded, USER, populated=False) as theirs:
        env = {**os.environ, "BROKER": theirs.url.replace("://", f"://{user}"), "PASSWORD": PASSWORD}
        code, run = await eventproof(folder, *words, "--url", "env:BROKER", "--report", "out", env=env)
        assert await theirs.streams() == []
        return code, run


def test_a_run_that_succeeds_tells_no_secret(tmp_path: Path) -> None:
    code, run = asyncio.run(run_on(tmp_path, "run", "nats", "--scenarios", 1))
    assert code == PARTIAL, run.err
    assert "server" in run.out
    assert "nats://***@127.0.0.1:" in run.out
    assert '"url":"env:BROKER"' in (tmp_path / "out" / "manifest.jsonl").read_text()
    silent(tmp_path, run)


@pytest.mark.parametrize("reference", ["env:PASSWORD", "file:../password"])
def test_options_that_are_secrets_stay_references(tmp_path: Path, reference: str) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    folder = tmp_path / "work"
    folder.mkdir()
    words = ("run", "nats", "--scenarios", 1, "--option", "user=admin", "--option", f"password={reference}")
    code, run = asyncio.run(run_on(folder, *words, user=""))
    assert code == PARTIAL, run.err
    assert f'"password":"{reference}"' in (folder / "out" / "manifest.jsonl").read_text()
    assert f'"password": "{reference}"' in (folder / "out" / "report.json").read_text()
    silent(folder, run)


def test_a_dry_run_tells_no_secret(tmp_path: Path) -> None:
    code, run = asyncio.run(run_on(tmp_path, "run", "nats", "--dry-run"))
    assert code == CONFORMANT, run.err
    silent(tmp_path, run)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_an_adapter_that_tells_a_secret_is_not_quoted(tmp_path: Path, error: str) -> None:
    (tmp_path / "theirs.py").write_text(TELLS.replace("{error}", error))
    words = ("run", "--adapter", "theirs.py:connect", "--scenarios", 2, "--budget", 1, "--max-duration", 3)
    code, run = asyncio.run(run_on(tmp_path, *words))
    assert code in {FAILED, PARTIAL}, run.err
    histories = "".join(path.read_text() for path in tmp_path.glob("out/histories/*.jsonl"))
    assert "***" in histories
    silent(tmp_path, run)


def test_a_refused_login_tells_no_secret(tmp_path: Path) -> None:
    code, run = asyncio.run(run_on(tmp_path, "run", "nats", user="admin:swordfish-wrong@"))
    assert (code, run.out) == (BROKEN, "")
    assert re.fullmatch(r"eventproof: .*127\.0\.0\.1:\d+ refuses us: Authorization Violation\n", run.err)
    silent(tmp_path, run)


@pytest.mark.parametrize("error", ["OSError", "Unreachable"])
def test_an_adapter_that_cannot_connect_tells_no_secret(tmp_path: Path, error: str) -> None:
    (tmp_path / "theirs.py").write_text(f"""
from urllib.parse import urlsplit
from eventproof.adapters.errors import Unreachable
def connect(url, **options):
    raise {error}(f"no way to {{url}} with {{urlsplit(url).password}}")
""")
    code, run = asyncio.run(run_on(tmp_path, "run", "--adapter", "theirs.py:connect"))
    assert (code, run.out) == (BROKEN, "")
    assert re.search(r"no way to nats://\*\*\*@127\.0\.0\.1:\d+ with \*\*\*$", run.err.strip())
    silent(tmp_path, run)


def test_a_traceback_of_somebodys_code_holds_no_secret() -> None:
    hide(PASSWORD)
    with pytest.raises(ForeignError) as raised, foreign("somewhere"):
        raise ValueError(PASSWORD)
    assert str(raised.value) == "somewhere: ValueError: ***"
    assert PASSWORD not in raised.value.trace


@pytest.mark.parametrize("command", [("run", "nats"), ("replay", "one.json", "nats"), ("cleanup", "m.jsonl")])
def test_a_secret_in_the_words_of_a_command_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "one.json").write_text("{}")
    (tmp_path / "m.jsonl").write_text('{"target":"nats","url":"x","namespace":"eventproof-a"}\n')
    code, run = asyncio.run(eventproof(tmp_path, *command, "--url", f"nats://{USER}127.0.0.1:4222"))
    assert (code, run.out) == (USAGE, "")
    assert "give --url env:NAME or --url file:PATH" in " ".join(run.err.split())
    silent(tmp_path, run)
