"""The archive of what Java loads for a Kafka: it saves time, and nothing depends on it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from eventproof.conformance.targets import kafkaarchive
from eventproof.conformance.targets.javaruntime import Java, find_java
from eventproof.conformance.targets.kafkaarchive import find_archive
from eventproof.conformance.targets.kafkajars import find_jars
from eventproof.conformance.targets.kafkaserver import KafkaServer
from eventproof.conformance.targets.usercache import cache

pytestmark = pytest.mark.timeout(400)
JAVA = Java(Path("java"), "25.0.2")


@pytest.fixture
def jar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """One for whose archive there is an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "one.jar").write_bytes(b"1")
    return tmp_path / "one.jar"


def trains(monkeypatch: pytest.MonkeyPatch, outcome: Exception | None = None) -> list[Path]:
    """Let a training be pretended; the archives that were asked for."""
    asked: list[Path] = []

    def run(words: Sequence[Path], **_: object) -> None:
        asked.append(words[-1])
        if outcome is not None:
            raise outcome
        words[-1].write_bytes(b"archive")

    monkeypatch.setattr(kafkaarchive.subprocess, "run", run)
    return asked


def started_with(monkeypatch: pytest.MonkeyPatch, archive: Path | None) -> bytes:
    """The command line of a server that could be used."""
    monkeypatch.setattr(kafkaarchive, "find_archive", lambda *_: archive)

    async def work() -> bytes:
        server = KafkaServer()
        try:
            await server.start()
            return await asyncio.to_thread(Path(f"/proc/{server.pid}/cmdline").read_bytes)
        finally:
            await server.remove()

    return asyncio.run(work())


def test_a_server_starts_with_the_archive_that_a_real_one_left(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = find_archive(find_java(), find_jars())
    assert archive is not None
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    assert b"-XX:AOTCache=%s\0" % os.fsencode(archive) in started_with(monkeypatch, archive)


def test_a_server_starts_without_one_or_with_one_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged = tmp_path / "kafka.aot"
    damaged.write_bytes(b"what is that")
    assert os.fsencode(damaged) in started_with(monkeypatch, damaged)
    assert b"AOTCache" not in started_with(monkeypatch, None)


def test_it_is_made_once_for_the_same_java_and_jars(monkeypatch: pytest.MonkeyPatch, jar: Path) -> None:
    asked = trains(monkeypatch)
    found = find_archive(JAVA, [jar])
    assert found is not None
    assert (find_archive(JAVA, [jar]), len(asked)) == (found, 1)
    assert find_archive(Java(Path("java"), "25.0.3"), [jar]) != found
    jar.write_bytes(b"another")
    assert find_archive(JAVA, [jar]) != found
    assert len(asked) == 3


@pytest.mark.parametrize("error", [subprocess.CalledProcessError(1, "x"), subprocess.TimeoutExpired("x", 1)])
def test_a_training_that_fails_leaves_none_and_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, jar: Path, error: Exception
) -> None:
    asked = trains(monkeypatch, error)
    assert [find_archive(JAVA, [jar]), find_archive(JAVA, [jar])] == [None, None]
    assert len(asked) == 1


def test_a_java_that_writes_none_is_not_asked_to(jar: Path) -> None:
    assert find_archive(Java(Path("java"), "21.0.8"), [jar]) is None
    assert not cache().exists()
