"""The checks that need the file system: the generated file, ids in git's history, and the repository around.

In a checkout every Markdown document of the repository is held to the same: its links lead somewhere, and
the ids that it mentions exist; so do those that Python sources mention. An installed spec has nothing around.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from eventproof.spec.generate import generated
from eventproof.spec.links import dead_links, missing_files
from eventproof.spec.lint import lint
from eventproof.spec.mentions import mentioned
from eventproof.spec.parse import Document, Finding, document, read

GENERATED = "requirements.json"
READ = (".md", ".py")
_ADDED = re.compile(r'^\+ *"id": "([A-Z]{3}-\d{3})"', re.MULTILINE)


def findings(folder: Path) -> tuple[Finding, ...]:
    """Everything wrong with the spec in a folder."""
    documents = read(folder)
    if found := lint(documents):
        return found
    return (*around(folder, documents), *stale(folder, documents), *dropped(folder, documents))


def around(folder: Path, documents: tuple[Document, ...]) -> Iterator[Finding]:
    """Dead links and unknown ids, in the whole repository if the folder lies in the root of a checkout."""
    if not (folder.parent / ".git").exists():
        yield from missing_files(documents, lambda name: (folder / name).exists())
        return
    files = tracked(folder.parent)
    folders = {parent.as_posix() for name in files for parent in Path(name).parents}
    texts = {name: (folder.parent / name).read_text("utf-8") for name in files if name.endswith(READ)}
    everywhere = [document(name, text) for name, text in texts.items() if name.endswith(".md")]
    yield from dead_links(everywhere)
    yield from missing_files(everywhere, {*files, *folders}.__contains__)
    known = {block.id for one in documents for block in one.blocks}
    for name, text in texts.items():
        for line, found in mentioned(name, text):
            if found not in known:
                yield Finding(name, line, f"mentions {found}, and there is no such requirement")


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
    options = ("--format=", "--patch", "--unified=0", "--no-color", "--no-ext-diff")
    return set(_ADDED.findall(_git(folder, "log", *options, "--", GENERATED)))


def tracked(root: Path) -> list[str]:
    """The paths of the files of a checkout, new ones too, that git does not ignore and that are there."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return sorted({name for name in listed.split("\0") if name and (root / name).exists()})


def _git(folder: Path, *words: str) -> str:
    """What a git command prints; nothing where it fails, or there is no git."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout  # noqa: S603 - fixed words
