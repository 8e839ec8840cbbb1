"""From the Markdown documents to requirement blocks, without judging them.

A block is a paragraph whose first line carries a requirement id: head, sentence, quoted fields. Its
form is described in spec/README.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

FIELDS = ("Intent", "Needs", "Verify", "Limits", "Profile", "When", "Anomalies", "Exercise")
_START = re.compile(r'<a id="[A-Z]{3}-\d{3}"|\*\*[A-Z]{3}-\d{3}\*\*')
_HEAD = re.compile(
    r'<a id="(?P<anchor>[^"]+)"></a>\*\*(?P<id>[A-Z]{3}-\d{3})\*\* (?P<title>[^·]+) · (?P<level>[A-Z ]+)'
    r" · (?P<target>[a-z]+) · since (?P<since>\d+\.\d+)(?: · removed (?P<removed>\d+\.\d+))?\\"
)
_SPLIT = re.compile(r" · (?=(?:" + "|".join(FIELDS) + r"): )")
_FENCE = re.compile(r"^(```+|~~~+).*?^\1", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong with the spec: the document, its line (1 up), and a sentence."""

    document: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.message}"


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement as written. `fields` keeps the order and the repetitions of the quoted part."""

    document: str
    line: int
    head: Mapping[str, str | None]
    text: str
    fields: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        return self.head["id"] or ""

    def field(self, name: str) -> str:
        return next((value for key, value in self.fields if key == name), "")

    def finding(self, message: str) -> Finding:
        return Finding(self.document, self.line, f"{self.id}: {message}")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A Markdown file by its name relative to the spec folder.

    prose: the text with blocks, code spans and fences blanked out, line by line as in `text`.
    malformed: paragraphs that carry an id and are no block.
    """

    name: str
    text: str
    prose: str
    blocks: tuple[Block, ...]
    malformed: tuple[Finding, ...]


def read(folder: Path) -> tuple[Document, ...]:
    """Every Markdown file below the folder, the areas in the order of their names."""
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.md"))
    return tuple(document(path.as_posix(), (folder / path).read_text("utf-8")) for path in paths)


def document(name: str, text: str) -> Document:
    lines = without_fences(text).split("\n")
    blocks: list[Block] = []
    malformed: list[Finding] = []
    for start, end in _paragraphs(lines):
        one = _block(name, start, lines[start:end])
        if isinstance(one, Block):
            blocks.append(one)
        else:
            malformed.append(one)
        lines[start:end] = [""] * (end - start)
    prose = without_spans("\n".join(lines))
    return Document(name=name, text=text, prose=prose, blocks=tuple(blocks), malformed=tuple(malformed))


def without_fences(text: str) -> str:
    """The text with fenced code blanked out, its lines kept."""
    return _FENCE.sub(_blank, text)


def without_spans(text: str) -> str:
    """The text with code spans blanked out, its lines kept."""
    return _SPAN.sub(_blank, text)


def table(source: Document, heading: str) -> Iterator[tuple[str, ...]]:
    """The rows (without the header) of the first table below a heading, as stripped cells."""
    section = re.split(rf"^#+ {re.escape(heading)}$", source.text, maxsplit=1, flags=re.MULTILINE)
    body = re.split(r"^#", section[1], maxsplit=1, flags=re.MULTILINE)[0] if len(section) > 1 else ""
    rows = [line for line in body.splitlines() if line.startswith("|")]
    for row in rows[2:]:
        yield tuple(cell.strip() for cell in row.strip("|").split("|"))


def _paragraphs(lines: list[str]) -> list[tuple[int, int]]:
    """Start and end index of every paragraph that begins like a requirement."""
    starts = [index for index, line in enumerate(lines) if _START.match(line)]
    ends = [next((i for i in range(s, len(lines)) if not lines[i].strip()), len(lines)) for s in starts]
    return list(zip(starts, ends, strict=True))


def _block(name: str, start: int, lines: list[str]) -> Block | Finding:
    match = _HEAD.fullmatch(lines[0])
    if match is None:
        return Finding(name, start + 1, "the head of a requirement is not of the form that README.md gives")
    quoted = " ".join(line.removeprefix(">").strip() for line in lines[1:] if line.startswith(">"))
    text = " ".join(line.strip() for line in lines[1:] if not line.startswith(">"))
    pairs = (part.partition(": ") for part in _SPLIT.split(quoted) if part)
    fields = tuple((key, value.strip()) for key, _, value in pairs)
    return Block(document=name, line=start + 1, head=match.groupdict(), text=text, fields=fields)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())
