"""Each rule of the lint catches the fault that it is for, and only that one."""

from __future__ import annotations

import pytest

from eventproof.spec.lint import RULES, Spec, lint
from eventproof.spec.parse import Finding, document
from eventproof.spec.vocabulary import vocabulary

BAD = {  # old text of ordering.md, its replacement, part of the finding
    "malformed": ("**ORD-001** Key order · MUST", "**ORD-001** · MUST", "the head of a"),
    "loose_keyword": ("Prose may", "Prose MUST", "MUST stands outside"),
    "loose_required": ("Prose may", "Prose is REQUIRED to", "REQUIRED stands outside"),
    "no_keyword": ("A suite MUST NOT guess.", "A suite guesses.", "MUST NOT once, and has: none"),
    "two_keywords": ("MUST be first", "MUST and SHOULD be first", "has: MUST, SHOULD"),
    "keyword_in_field": ("a guess is no proof.", "it MUST prove.", "has: MUST NOT, MUST"),
    "other_level": ("Key order · MUST ·", "Key order · SHOULD ·", "SHOULD once, and has: MUST"),
    "negated_level": ("MUST NOT guess", "MUST guess", "MUST NOT once, and has: MUST"),
    "unknown_level": ("· MUST NOT ·", "· SHALL ·", "SHALL"),
    "two_sentences": ("NOT guess.", "NOT guess. It proves.", "in one sentence"),
    "no_full_stop": ("NOT guess.", "NOT guess", "in one sentence"),
    "missing_field": ("Needs: nothing · ", "", "each of these fields once"),
    "empty_field": ("Needs: nothing", "Needs: ", "each of these fields once"),
    "field_order": ("When: always · Anomalies: none", "Anomalies: none · When: always", "in this"),
    "unknown_profile": ("Profile: core", "Profile: best", "best"),
    "unknown_target": ("· suite ·", "· broker ·", "broker"),
    "unknown_verify": ("Verify: sampled", "Verify: guessed", "guessed"),
    "bad_verify": ("Verify: sampled", "Verify: sampled, mostly", "Verify is one word"),
    "bad_exercise": ("Exercise: 20", "Exercise: often", "Expected `int`"),
    "bad_when": ("When: `ordering.scope=key|topic`", "When: by key", "When is `always`"),
    "wrong_anchor": ('<a id="ORD-002">', '<a id="ORD-009">', "its anchor is ORD-009"),
    "twice_the_id": ("ORD-002", "ORD-001", "is number 2 of its area"),
    "gap_in_ids": ("ORD-002", "ORD-003", "is number 2 of its area"),
    "other_area": ("ORD-002", "DLV-002", "is not the document of the area DLV"),
    "unknown_area": ("ORD-002", "XYZ-002", "is not the document of the area XYZ"),
    "short_title": ("Old rule", "Old", "a title of two to six words"),
    "inspection_why": (" (a guess leaves no trace)", "", "gives a reason if Verify"),
    "sampled_why": ("sampled", "sampled (as usual)", "gives a reason if Verify"),
    "exercise_why": ("Exercise: 20", "Exercise: 3", "a reason for an Exercise other than 20"),
    "exercise_usual": ("Exercise: 20", "Exercise: 20 (why)", "other than 20, and only then"),
    "undecided": ("inspection (a guess leaves no trace)", "fault of broker-kill", "must decide it"),
    "no_fault": ("Verify: sampled", "Verify: fault", "Verify names faults"),
    "unknown_fault": ("Verify: sampled", "Verify: fault of earthquake", "earthquake is no row"),
    "unknown_path": ("ordering.scope=", "ordering.scoop=", "ordering.scoop=key is no row"),
    "unknown_value": ("scope=key", "scope=partition", "ordering.scope=partition is no row"),
    "unknown_boolean": ("redelivery.nack=true", "ordering.scope=true", "scope=true is no row"),
    "number_in_when": ("nack=true", "within=10", "redelivery.within=10 is no row"),
    "unknown_anomaly": ("Anomalies: D1, D2", "Anomalies: D1, D2, Z9", "names Z9"),
    "anomaly_not_named": ("Anomalies: D1, D2", "Anomalies: D1", "the row of D2 links to ORD-001"),
    "dead_document": ("(conformance.md#claims)", "(conformity.md)", "links to conformity.md"),
    "dead_anchor": ("(#ORD-002)", "(#ORD-007)", "links to #ORD-007"),
    "dead_reference": ("Prose may", "[Prose][none] may", "refers to [none], which is defined nowhere"),
    "dead_definition": ("Prose may", "[x]: conformance.md\n\nProse may", "defines [x], which nothing"),
    "dead_term": ("(glossary.md#link-of-two)", "(glossary.md)", "Link of two is a term that no other"),
    "unsaid_word": ("Prose may", "Queued prose may", "says queue: say topic (glossary.md)"),
    "unsaid_in_a_field": ("a guess is no proof.", "a timeout is no guess.", "says timeout: say time-out"),
    "dead_heading": ("#claims", "#promises", "links to conformance.md#promises"),
}


def found(texts: dict[str, str]) -> tuple[Finding, ...]:
    return lint([document(name, text) for name, text in texts.items()])


def test_a_good_specification_has_no_findings(texts: dict[str, str]) -> None:
    assert found(texts) == ()


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_found_where_it_is(texts: dict[str, str], name: str) -> None:
    old, new, said = BAD[name]
    text = texts["ordering.md"]
    assert old in text
    assert any(said in one.message for one in found(texts | {"ordering.md": text.replace(old, new)}))


def test_a_row_of_the_anomalies_that_does_not_link_back_is_found(texts: dict[str, str]) -> None:
    text = texts["conformance.md"].replace("retry | [ORD-001](ordering.md#ORD-001)", "retry | none")
    (one,) = found(texts | {"conformance.md": text})
    assert one.message == "ORD-001: names D2, whose row in conformance.md does not link back"


def test_no_rule_is_without_a_fault_that_trips_it(texts: dict[str, str]) -> None:
    tripped = set()
    for old, new, _ in BAD.values():
        documents = tuple(document(name, text.replace(old, new)) for name, text in texts.items())
        spec = Spec(documents, vocabulary(documents))
        tripped |= {rule.__name__ for rule in RULES if any(rule(spec))}
    assert tripped == {rule.__name__ for rule in RULES}


def test_a_finding_names_document_line_and_requirement(texts: dict[str, str]) -> None:
    (one,) = found(texts | {"ordering.md": texts["ordering.md"].replace("MUST NOT guess.", "MUST NOT guess")})
    assert str(one) == (
        "ordering.md:14: ORD-002: states its requirement in one sentence that ends in a full stop"
    )


def test_a_keyword_in_fenced_code_is_no_requirement(texts: dict[str, str]) -> None:
    fenced = texts["ordering.md"] + "\n```text\nyou MUST\n```\n"
    assert found(texts | {"ordering.md": fenced}) == ()


def test_every_reference_dangles_without_the_document_that_defines_the_words(texts: dict[str, str]) -> None:
    messages = [one.message for one in found({"ordering.md": texts["ordering.md"]})]
    assert sum("is no row" in one for one in messages) == 3
    assert sum("does not link back" in one for one in messages) == 2
