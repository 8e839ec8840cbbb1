"""The checks that need the file system: the generated file, files linked to, ids in git's history."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from eventproof.spec.generate import generated
from eventproof.spec.links import links
from eventproof.spec.lint import lint
from eventproof.spec.parse import Document, Finding, read

GENERATED = "requirements.json"
_ADDED = re.compile(r'^\+ *"id": "([A-Z]{3}-\d{3})"', re.MULTILINE)


def findings(folder: Path) -> tuple[Finding, ...]:
    """Everything wrong with the spec in a folder."""
    documents = read(folder)
    if found := lint(documents):
        return found
    return (*missing_files(folder, documents), *stale(folder, documents), *dropped(folder, documents))


def missing_files(folder: Path, documents: tuple[Document, ...]) -> Iterator[Finding]:
    for name, line, target in links(documents):
        path = target.partition("#")[0]
        if path and not (folder / name).parent.joinpath(path).exists():
            yield Finding(name, line, f"links to {path}, which does not exist")


def stale(folder: Path, documents: tuple[Document, ...]) -> Iterator[Finding]:
    path = folder / GENERATED
    if not path.exists() or path.read_bytes() != generated(documents):
        yield Finding(GENERATED, 1, "is not what the documents say: run python -m eventproof.spec")


def dropped(folder: Path, documents: tuple[Document, ...]) -> Iterator[Finding]:
    """Ids that were committed once and have no block now: a removed requirement keeps its block."""
    present = {block.id for one in documents for block in one.blocks}
    for name in sorted(committed(folder) - present):
        yield Finding(GENERATED, 1, f"{name} was published before: mark it as removed, do not drop it")


def committed(folder: Path) -> set[str]:
    """Every id that the file's git history ever added; empty outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return set()
    options = ("--format=", "--patch", "--unified=0", "--no-color", "--no-ext-diff")
    command = [git, "-C", str(folder), "log", *options, "--", GENERATED]
    log = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)  # noqa: S603 - fixed words
    return set(_ADDED.findall(log.stdout))
