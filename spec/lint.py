"""What must hold of the documents, one small rule each; a rule yields findings and knows no file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import msgspec

from eventproof.spec.generate import Malformed, reasoned, requirement_of
from eventproof.spec.links import dead_links
from eventproof.spec.model import Requirement
from eventproof.spec.parse import FIELDS, Block, Document, Finding, without_spans
from eventproof.spec.vocabulary import AREAS, FAULTS, SOURCE, Vocabulary, vocabulary
from eventproof.spec.words import unsaid_words, wrong_terms

_KEYWORD = re.compile(r"\b(?:(?:MUST|SHALL|SHOULD)(?: NOT)?|REQUIRED|(?:NOT )?RECOMMENDED|MAY|OPTIONAL)\b")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_TITLE_WORDS = range(2, 7)
_USUAL_EXERCISE = {"sampled": 20, "fault": 5, "deterministic": 0, "inspection": 0, "none": 0}


class Spec(msgspec.Struct, frozen=True):
    """The documents and the vocabulary that they define."""

    documents: tuple[Document, ...]
    words: Vocabulary

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(chain.from_iterable(one.blocks for one in self.documents))


def lint(documents: Sequence[Document]) -> tuple[Finding, ...]:
    """Every finding of every rule, by document and line."""
    spec = Spec(tuple(documents), vocabulary(documents))
    found = chain.from_iterable(rule(spec) for rule in RULES)
    return tuple(sorted(found, key=lambda one: (one.document, one.line, one.message)))


def malformed(spec: Spec) -> Iterator[Finding]:
    for document in spec.documents:
        yield from document.malformed


def loose_keyword(spec: Spec) -> Iterator[Finding]:
    """A keyword of RFC 2119 outside a requirement; in a code span or fence it is only mentioned."""
    for document in spec.documents:
        for number, line in enumerate(document.prose.splitlines(), 1):
            for match in _KEYWORD.finditer(line):
                yield Finding(document.name, number, f"{match.group()} stands outside a requirement")


def wrong_keyword(spec: Spec) -> Iterator[Finding]:
    """Not exactly one keyword in the block, or another one than the head's level."""
    for block in spec.blocks:
        found = _KEYWORD.findall(without_spans(f"{block.text} {' '.join(v for _, v in block.fields)}"))
        if found != [block.head["level"]]:
            said = ", ".join(found) or "none"
            yield block.finding(f"wants the keyword {block.head['level']} once, and has: {said}")


def not_one_sentence(spec: Spec) -> Iterator[Finding]:
    for block in spec.blocks:
        if len(_SENTENCE_END.findall(without_spans(block.text))) != 1 or not block.text.endswith("."):
            yield block.finding("states its requirement in one sentence that ends in a full stop")


def wrong_fields(spec: Spec) -> Iterator[Finding]:
    for block in spec.blocks:
        if tuple(name for name, value in block.fields if value) != FIELDS:
            yield block.finding(f"has each of these fields once, in this order: {', '.join(FIELDS)}")


def wrong_value(spec: Spec) -> Iterator[Finding]:
    """A field that cannot be turned into data."""
    yield from (one for one in map(_data, spec.blocks) if isinstance(one, Finding))


def wrong_anchor(spec: Spec) -> Iterator[Finding]:
    for block in spec.blocks:
        if block.head["anchor"] != block.id:
            yield block.finding(f"its anchor is {block.head['anchor']}")


def wrong_place(spec: Spec) -> Iterator[Finding]:
    """An id in another document than its area's, or out of the counter's order 001, 002, 003."""
    for document in spec.documents:
        for number, block in enumerate(document.blocks, 1):
            if AREAS.get(block.id[:3]) != document.name:
                yield block.finding(f"{document.name} is not the document of the area {block.id[:3]}")
            elif int(block.id[4:]) != number:
                yield block.finding(f"is number {number} of its area: ids count up, and none is left out")


def wrong_title(spec: Spec) -> Iterator[Finding]:
    for block in spec.blocks:
        if len((block.head["title"] or "").split()) not in _TITLE_WORDS:
            yield block.finding("has a title of two to six words")


def missing_reason(spec: Spec) -> Iterator[Finding]:
    """No reason where no test decides, or where the exercise minimum is not the usual one."""
    for block, one in _readable(spec):
        if bool(one.whynone) != (one.verify in {"inspection", "none"}):
            yield block.finding("gives a reason if Verify is inspection or none, and only then")
        reason = reasoned(block, "Exercise")[1]
        if bool(reason) == (one.exercise == _USUAL_EXERCISE[one.verify]):
            usual = _USUAL_EXERCISE[one.verify]
            yield block.finding(f"gives a reason for an Exercise other than {usual}, and only then")


def undecided(spec: Spec) -> Iterator[Finding]:
    """A requirement that runs verify, and that no anomaly decides."""
    for block, one in _readable(spec):
        if one.verify in {"sampled", "fault"} and not one.anomalies:
            yield block.finding(f"is verified as {one.verify}, so an anomaly must decide it")


def unknown_claim(spec: Spec) -> Iterator[Finding]:
    for block, one in _readable(spec):
        for path, values in one.when.items():
            known = spec.words.claims.get(path, ())
            for value in values:
                if str(value).lower() not in known:
                    yield block.finding(f"{path}={str(value).lower()} is no row of the claims in {SOURCE}")


def unknown_fault(spec: Spec) -> Iterator[Finding]:
    for block, one in _readable(spec):
        for fault in one.faults:
            if fault not in spec.words.faults:
                yield block.finding(f"{fault} is no row of the faults in {FAULTS}")


def unknown_anomaly(spec: Spec) -> Iterator[Finding]:
    """The anomalies of the blocks and the table of anomalies do not say the same."""
    pairs = {(code, block.id): block for block, one in _readable(spec) for code in one.anomalies}
    rows = {(code, name) for code, names in spec.words.anomalies.items() for name in names}
    for code, name in sorted(pairs.keys() - rows):
        yield pairs[code, name].finding(f"names {code}, whose row in {SOURCE} does not link back")
    for code, name in sorted(rows - pairs.keys()):
        yield Finding(SOURCE, 1, f"the row of {code} links to {name}, which does not name {code}")


def dead_link(spec: Spec) -> Iterator[Finding]:
    yield from dead_links(spec.documents)


def wrong_term(spec: Spec) -> Iterator[Finding]:
    yield from wrong_terms(spec.documents)


def unsaid_word(spec: Spec) -> Iterator[Finding]:
    yield from unsaid_words(spec.documents)


def _readable(spec: Spec) -> Iterator[tuple[Block, Requirement]]:
    """The blocks that `wrong_value` accepts, with their data."""
    pairs = ((block, _data(block)) for block in spec.blocks)
    return ((block, one) for block, one in pairs if isinstance(one, Requirement))


def _data(block: Block) -> Requirement | Finding:
    try:
        return requirement_of(block)
    except Malformed as wrong:
        return block.finding(str(wrong))


RULES: tuple[Callable[[Spec], Iterator[Finding]], ...] = (
    malformed,
    loose_keyword,
    wrong_keyword,
    not_one_sentence,
    wrong_fields,
    wrong_value,
    wrong_anchor,
    wrong_place,
    wrong_title,
    missing_reason,
    undecided,
    unknown_claim,
    unknown_fault,
    unknown_anomaly,
    dead_link,
    wrong_term,
    unsaid_word,
)
