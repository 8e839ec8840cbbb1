"""Whether the documents keep to the glossary: its terms, and its list of what is not said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

import msgspec

from eventproof.spec.parse import Document, Finding, table, without_fences, without_spans

GLOSSARY = "glossary.md"
LIST = "Say this, not that"
BROKERS = "of a broker"
_TERM = re.compile(r'^(?P<anchors>(?:<a id="[^"]+"></a>)*)\*\*(?P<term>[^*]+)\*\*(?:, or (?P<short>[a-z]+))?')
_UNSAID = re.compile(r"\]\([^)]*\)|\]\[[^\]]*\]|<[^>]*>|^\[[^\]]+\]: .*$")
_SPAN = re.compile(r"`([^`]+)`")
_DOCUMENT = re.compile(r"\]\(([^)#]+)\)")
# What somebody else's software is called there is said of it, or of a report about it.
_SOMEBODYS = re.compile(r"\b(?:NATS|JetStream|Kafka|RabbitMQ|AMQP|Pulsar)\b|https?://")
_SIDE_BY_SIDE = "levels.md"
_WEIGHED = "decisions/"


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the list. said: what it begins with, in small letters. instead: what to say.
    brokers: may be said of a broker. documents: where it may be said of anything."""

    said: str
    instead: str
    brokers: bool
    documents: tuple[str, ...]

    def found(self, text: str) -> bool:
        return re.search(rf"\b{self.said}", text, re.IGNORECASE) is not None


def wrong_terms(documents: Sequence[Document]) -> Iterator[Finding]:
    """Terms that are defined twice, out of order, without their anchor, or for no other document."""
    elsewhere = "\n".join(one.text for one in documents if one.name != GLOSSARY)
    for glossary in (one for one in documents if one.name == GLOSSARY):
        terms = list(_terms(glossary))
        for (_, one), (line, other) in pairwise(terms):
            if one["term"].casefold() >= other["term"].casefold():
                yield Finding(
                    GLOSSARY, line, f"{other['term']} is out of its alphabetical place, or there twice"
                )
        for line, one in terms:
            slug = one["term"].lower().replace(" ", "-")
            if f'<a id="{slug}"></a>' not in one["anchors"]:
                yield Finding(GLOSSARY, line, f"{one['term']} has no anchor {slug}")
            if not _used(one, slug, elsewhere):
                yield Finding(GLOSSARY, line, f"{one['term']} is a term that no other document uses")


def unsaid_words(documents: Sequence[Document]) -> Iterator[Finding]:
    """Words of the list, in any ending, where they may not stand. In code a word is only mentioned."""
    words = [word for one in documents if one.name == GLOSSARY for word in listed(one)]
    for document in documents:
        if not document.name.startswith(_WEIGHED):
            yield from _in_paragraphs(document, words)
            yield from _in_requirements(document, words)


def listed(glossary: Document) -> Iterator[Word]:
    """The words of the list, one by one."""
    for said, instead, where in table(glossary, LIST):
        for word in _SPAN.findall(said):
            yield Word(
                said=word,
                instead=instead,
                brokers=BROKERS in where,
                documents=tuple(_DOCUMENT.findall(where)),
            )


def _in_paragraphs(document: Document, words: Sequence[Word]) -> Iterator[Finding]:
    theirs = document.name == _SIDE_BY_SIDE or _SOMEBODYS.search(document.text.partition("\n")[0])
    for paragraph in _paragraphs(document.text):
        of_broker = theirs or any(_SOMEBODYS.search(line) for _, line in paragraph)
        for word in words:
            if document.name in word.documents or (word.brokers and of_broker):
                continue
            for number, line in _prose(paragraph):
                if word.found(line):
                    yield Finding(document.name, number, _advice(word))


def _in_requirements(document: Document, words: Sequence[Word]) -> Iterator[Finding]:
    """The sentence of a requirement is about brokers of any kind, whatever its intent tells of one."""
    if _SOMEBODYS.search(document.text.partition("\n")[0]):
        return
    for block in document.blocks:
        said = without_spans(f"{block.head['title']} {block.text}")
        for word in words:
            if word.brokers and document.name not in word.documents and word.found(said):
                yield block.finding(_advice(word))


def _advice(word: Word) -> str:
    return f"says {word.said}: say {word.instead} ({GLOSSARY})"


def _paragraphs(text: str) -> Iterator[list[tuple[int, str]]]:
    """Numbered lines that belong together; a row of a table stands alone."""

    def belonging(one: tuple[int, str]) -> int:
        number, line = one
        return number if line.startswith("|") else -1 if line.strip() else 0

    for key, lines in groupby(enumerate(without_fences(text).splitlines(), 1), belonging):
        if key:
            yield list(lines)


def _prose(paragraph: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines without code, anchors and the targets of links."""
    lines = without_spans("\n".join(line for _, line in paragraph)).splitlines()
    yield from ((number, _UNSAID.sub(" ", line)) for (number, _), line in zip(paragraph, lines, strict=True))


def _terms(glossary: Document) -> Iterator[tuple[int, re.Match[str]]]:
    for number, line in enumerate(glossary.text.splitlines(), 1):
        if match := _TERM.match(line):
            yield number, match


def _used(term: re.Match[str], slug: str, text: str) -> bool:
    """Linked to, or said in some ending; a term of one letter as it is written."""
    if f"{GLOSSARY}#{slug})" in text:
        return True
    if len(term["term"]) == 1:
        return re.search(rf"\b{term['term']}\b", text) is not None
    names = [re.escape(name.removesuffix("y")) for name in term.group("term", "short") if name]
    return any(re.search(rf"\b{name}", text, re.IGNORECASE) for name in names)
