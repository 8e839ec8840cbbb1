"""manifest.jsonl: what a run makes on a server that is not ours, written down before it is made.

The first line tells where; each other line names one thing; the last one that all of it is gone again. So a
run that was killed leaves the list of what `eventproof cleanup` has to remove.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from eventproof.adapters.errors import EventproofError
from eventproof.conformance.targets.namespace import check, owns

FORMAT = 1
NAME = "manifest.jsonl"

Line = TypeVar("Line")


class InvalidManifest(EventproofError):
    """The file lists nothing that can be removed safely; the message says where and why."""


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line.

    target, adapter, driver: what was tested, as the command line names it; two of the three are empty.
    url: where, as given: `env:NAME` for one that holds a password. options: the adapter's, as given.
    namespace: what every listed name begins with. started: wall time.
    """

    format: int = FORMAT
    target: str = ""
    adapter: str = ""
    driver: str = ""
    url: str
    namespace: str
    options: Mapping[str, Any] = {}
    started: str = ""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format {self.format}, but this version reads format {FORMAT}")
        check(self.namespace)


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every other line. kind: a topic with this name is about to be made; or `end`, all of them are gone."""

    kind: Literal["topic", "end"]
    name: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """A manifest on the disk. Each line is written at once, so that a kill loses none."""

    path: Path

    def begin(self, header: Header) -> None:
        """Begin a new one. Raises InvalidManifest if it would replace the list of what may still be there."""
        if self.unfinished:
            raise InvalidManifest(
                f"{self.path} lists what an earlier run may have left: first eventproof cleanup {self.path}"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(msgspec.json.encode(header) + b"\n")

    def topics(self, names: Iterable[str]) -> None:
        """These topics are about to be made."""
        self._add([Entry(kind="topic", name=name) for name in names])

    @property
    def unfinished(self) -> bool:
        """Whether it lists what may still be there. Raises InvalidManifest."""
        return self.path.exists() and not load(self.path).ended

    def end(self) -> None:
        """Nothing of it is left."""
        self._add([Entry(kind="end")])

    def _add(self, entries: list[Entry]) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))


class Listed(msgspec.Struct, frozen=True):
    """What a manifest says. ended: all of it was removed."""

    header: Header
    topics: tuple[str, ...]
    ended: bool


def load(path: Path) -> Listed:
    """What a manifest says. Raises InvalidManifest, also for a name outside its namespace."""
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()  # cut off while it was written: what it names was not made
    header = _decoded(path, 1, lines[0] if lines else b"", Header)
    entries = [_decoded(path, number, line, Entry) for number, line in enumerate(lines[1:], 2)]
    topics = tuple(dict.fromkeys(entry.name for entry in entries if entry.kind == "topic"))
    for topic in topics:
        if not owns(header.namespace, topic):
            raise InvalidManifest(
                f"{path} lists {topic!r}, outside of its namespace {header.namespace}: nothing was removed"
            )
    return Listed(header, topics, bool(entries) and entries[-1].kind == "end")


def _decoded(path: Path, number: int, line: bytes, kind: type[Line]) -> Line:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise InvalidManifest(f"{path} is no manifest: line {number}: {problem}") from problem
