"""The generated file, linked files, permanent ids, and the command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from eventproof.spec.__main__ import main

Edit = Callable[[str, str, str], None]


def git(folder: Path, *words: str) -> None:
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(folder), *name, *words], check=True, capture_output=True)


def test_what_was_generated_is_current(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], folder) == 0
    assert main(["--check"], folder) == 0
    assert capsys.readouterr().err == ""


def test_a_stale_or_missing_file_is_found(
    folder: Path, edit: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"], folder) == 1
    main([], folder)
    edit("ordering.md", "two events with one key", "three events with one key")
    assert main(["--check"], folder) == 1
    expected = "requirements.json:1: is not what the documents say: run python -m eventproof.spec\n"
    assert capsys.readouterr().err == expected * 2


def test_nothing_is_generated_from_faulty_documents(folder: Path, edit: Edit) -> None:
    edit("ordering.md", "MUST NOT guess", "MUST guess")
    assert main([], folder) == 1
    assert not (folder / "requirements.json").exists()


def test_a_link_to_a_file_that_is_not_there_is_found(
    folder: Path, edit: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    edit("ordering.md", "Prose may", "[Prose](../nowhere.json) may")
    main([], folder)
    assert main(["--check"], folder) == 1
    assert capsys.readouterr().err == "ordering.md:3: links to ../nowhere.json, which does not exist\n"


def test_an_id_that_was_committed_cannot_be_dropped(
    folder: Path, edit: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    main([], folder)
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    text = (folder / "ordering.md").read_text(encoding="utf-8")
    edit("ordering.md", text[text.index('<a id="ORD-002">') :], "")
    edit("ordering.md", "[ORD-002](#ORD-002)", "below")
    assert main([], folder) == 0
    git(folder, "commit", "-a", "-m", "second")
    assert main(["--check"], folder) == 1
    assert "ORD-002 was published before" in capsys.readouterr().err
