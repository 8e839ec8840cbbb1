"""Whether the links between the documents lead anywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from posixpath import dirname, join, normpath

from eventproof.spec.parse import Document, Finding, without_fences, without_spans

_DEFINITION = re.compile(r"^\[(?P<name>[^\]]+)\]: *(?P<target>\S+)")
_USE = re.compile(r"\]\[(?P<name>[^\]]+)\]")
_TARGETS = (
    re.compile(r"""\]\(<?(?P<target>[^)\s>]+)>?(?: +["'][^)]*)?\)"""),
    re.compile(r'(?:src|href)="(?P<target>[^"]+)"'),
    _DEFINITION,
)
_ANCHOR = re.compile(r'<a id="([^"]+)">')
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def dead_links(documents: Sequence[Document]) -> Iterator[Finding]:
    """Links to a document or anchor that is not there, and references without a definition. What is not
    Markdown, or lies above these documents, is left to `missing_files`."""
    known = {one.name: anchors(one) for one in documents}
    for document, line, target in links(documents):
        name, anchor = leads_to(document, target), target.partition("#")[2]
        if name.endswith(".md") and not _above(name) and name not in known:
            yield Finding(document, line, f"links to {target}, which does not exist")
        elif anchor and not _above(name) and anchor not in known.get(name, frozenset()):
            yield Finding(document, line, f"links to {target}, where that anchor does not exist")
    for one in documents:
        yield from loose_references(one)


def missing_files(documents: Sequence[Document], exists: Callable[[str], bool]) -> Iterator[Finding]:
    """Links to what does not exist, by its path relative to the folder of these documents."""
    for document, line, target in links(documents):
        name = leads_to(document, target)
        if (_above(name) or not name.endswith(".md")) and not exists(name):
            yield Finding(document, line, f"links to {target}, which does not exist")


def loose_references(document: Document) -> Iterator[Finding]:
    """`[text][name]` without a definition of that name, and definitions that nothing refers to."""
    uses = {match["name"]: number for number, line in _lines(document) for match in _USE.finditer(line)}
    defined = {
        match["name"]: number for number, line in _lines(document) if (match := _DEFINITION.match(line))
    }
    for name in sorted(uses.keys() - defined.keys()):
        yield Finding(document.name, uses[name], f"refers to [{name}], which is defined nowhere")
    for name in sorted(defined.keys() - uses.keys()):
        yield Finding(document.name, defined[name], f"defines [{name}], which nothing refers to")


def links(documents: Sequence[Document]) -> Iterator[tuple[str, int, str]]:
    """Document, line and target of every link that stays in the repository."""
    for document in documents:
        for number, line in _lines(document):
            for match in (match for form in _TARGETS for match in form.finditer(line)):
                if not re.match(r"[a-z]+:", match["target"]):
                    yield document.name, number, match["target"]


def leads_to(document: str, target: str) -> str:
    """The path that a link in a document names, relative to the folder of the documents."""
    path = target.partition("#")[0]
    return normpath(join(dirname(document), path)) if path else document


def anchors(document: Document) -> frozenset[str]:
    """Explicit anchors and the slugs that Git hosts make of headings."""
    text = without_fences(document.text)
    return frozenset(_ANCHOR.findall(text)) | {_slug(title) for title in _HEADING.findall(text)}


def _named(form: re.Pattern[str], document: Document) -> dict[str, int]:
    """The line of each name that a document refers to, or defines."""
    return {match["name"]: number for number, line in _lines(document) for match in form.finditer(line)}


def _lines(document: Document) -> Iterator[tuple[int, str]]:
    yield from enumerate(without_spans(without_fences(document.text)).splitlines(), 1)


def _above(name: str) -> bool:
    return name.startswith("../")


def _slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
