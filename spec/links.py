"""Whether the links between the documents lead anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from posixpath import dirname, join, normpath

from eventproof.spec.parse import Document, Finding, without_fences, without_spans

_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_ANCHOR = re.compile(r'<a id="([^"]+)">')
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def dead_links(documents: Sequence[Document]) -> Iterator[Finding]:
    """Links to a document or anchor that is not there. What is not Markdown here is left to `targets`."""
    known = {one.name: anchors(one) for one in documents}
    for document, line, target in links(documents):
        path, _, anchor = target.partition("#")
        name = normpath(join(dirname(document), path)) if path else document
        if name.endswith(".md") and not name.startswith("../") and name not in known:
            yield Finding(document, line, f"links to {path}, which does not exist")
        elif anchor and anchor not in known.get(name, frozenset()):
            yield Finding(document, line, f"links to {target}, where that anchor does not exist")


def links(documents: Sequence[Document]) -> Iterator[tuple[str, int, str]]:
    """Document, line and target of every link that stays in the repository."""
    for document in documents:
        text = without_spans(without_fences(document.text))
        for number, line in enumerate(text.splitlines(), 1):
            for match in _LINK.finditer(line):
                if not re.match(r"[a-z]+:", match["target"]):
                    yield document.name, number, match["target"]


def anchors(document: Document) -> frozenset[str]:
    """Explicit anchors and the slugs that Git hosts make of headings."""
    text = without_fences(document.text)
    return frozenset(_ANCHOR.findall(text)) | {_slug(title) for title in _HEADING.findall(text)}


def _slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
