"""What is fetched once is complete, or not there."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventproof.conformance.targets.usercache import cache, made_once


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def fill(folder: Path) -> None:
    (folder / "file").write_text("complete")


def test_it_is_made_once_and_found_from_then_on() -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        fill(folder)

    with ThreadPoolExecutor() as threads:
        found = set(threads.map(lambda _: made_once("thing", make), range(4)))
    assert found == {cache() / "thing"}
    assert (cache() / "thing" / "file").read_text() == "complete"
    assert len(made) == 1
    assert {path.name for path in cache().iterdir()} == {"lock", "thing"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_one_that_is_interrupted_leaves_nothing(error: type[BaseException]) -> None:
    def make(folder: Path) -> None:
        fill(folder)
        raise error

    with pytest.raises(error):
        made_once("thing", make)
    assert {path.name for path in cache().iterdir()} == {"lock"}


def test_what_a_killed_process_left_is_removed_and_never_taken_for_it() -> None:
    code = """
import os, signal
from eventproof.conformance.targets.usercache import made_once

def make(folder):
    (folder / "file").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

made_once("thing", make)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = cache().glob("part-*")
    assert (left / "file").read_text() == "half"
    assert not (cache() / "thing").exists()
    assert (made_once("thing", fill) / "file").read_text() == "complete"
    assert not left.exists()


def test_without_a_variable_it_is_where_the_system_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for unusable in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        monkeypatch.setattr(sys, "platform", "linux")
        assert cache() == tmp_path / ".cache" / "eventproof"
        monkeypatch.setattr(sys, "platform", "darwin")
        assert cache() == tmp_path / "Library" / "Caches" / "eventproof"
