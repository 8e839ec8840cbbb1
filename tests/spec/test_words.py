"""The glossary is kept: what is not said, and where it may be; terms that are used and in their place."""

from __future__ import annotations

import pytest

from eventproof.spec.__main__ import HERE
from eventproof.spec.parse import Document, document, read
from eventproof.spec.words import GLOSSARY, listed, unsaid_words, wrong_terms


def documents(texts: dict[str, str]) -> list[Document]:
    return [document(name, text) for name, text in texts.items()]


def unsaid(texts: dict[str, str]) -> list[tuple[str, int, str]]:
    return [(one.document, one.line, one.message.partition(":")[0]) for one in unsaid_words(documents(texts))]


def terms(texts: dict[str, str]) -> list[str]:
    return [str(one) for one in wrong_terms(documents(texts))]


def test_a_specification_that_keeps_to_its_glossary_has_no_findings(texts: dict[str, str]) -> None:
    assert unsaid(texts) == []
    assert terms(texts) == []


@pytest.mark.parametrize(
    "text",
    [
        "# X\n\nA queue.\n",
        "# X\n\nSome\nQUEUED things.\n",
        "# X\n\nNATS is a broker.\n\nA queue.\n",
        "# X\n\n| NATS |\n|---|\n| a queue |\n",
        "# X\n\nNATS has a\ntimeout.\n",
        "# NATS\n\nA timeout.\n",
    ],
)
def test_a_word_of_the_list_is_found(texts: dict[str, str], text: str) -> None:
    assert len(unsaid(texts | {"x.md": text})) == 1


@pytest.mark.parametrize(
    "text",
    [
        "# X\n\nNATS has a\nqueue.\n",
        "# X\n\nA queue, [they said](https://example.org/timeout).\n",
        "# X\n\n| NATS | a queue |\n",
        "# X\n\nA `queue`, and [a topic][stream].\n\n[stream]: timeout.md\n\n```text\ntimeout\n```\n",
        '# X\n\nIt is enqueued; <a id="timeout"></a>[x](timeout.md) stands.\n',
        "# NATS\n\nA queue.\n",
    ],
)
def test_a_word_may_be_mentioned_or_said_of_its_broker(texts: dict[str, str], text: str) -> None:
    assert unsaid(texts | {"x.md": text}) == []


def test_what_was_weighed_and_what_stands_side_by_side_has_the_brokers_words(texts: dict[str, str]) -> None:
    assert unsaid(texts | {"decisions/0001-x.md": "A queue with a timeout."}) == []
    assert unsaid(texts | {"levels.md": "A queue with a timeout."}) == [("levels.md", 1, "says timeout")]


def test_the_sentence_of_a_requirement_has_no_brokers_words(texts: dict[str, str]) -> None:
    text = texts["ordering.md"].replace("> Intent: updates", "> Intent: in Kafka a queue of updates")
    assert unsaid(texts | {"ordering.md": text}) == []
    for old, new in (("before the other", "in the queue before the other"), ("Key order", "Queue order")):
        broken = text.replace(old, new)
        assert [one[2] for one in unsaid(texts | {"ordering.md": broken})] == ["ORD-001"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("**Key**", "**Event**", "glossary.md:5: Event is out of its alphabetical place, or there twice"),
        ("**Key**", "**Bet**", "glossary.md:5: Bet is out of its alphabetical place, or there twice"),
        ('<a id="key"></a>', "", "glossary.md:5: Key has no anchor key"),
        ("**Key**", "**Hunch**", "glossary.md:5: Hunch is a term that no other document uses"),
        ("**L**", "**K**", "glossary.md:7: K is a term that no other document uses"),
    ],
)
def test_a_term_out_of_its_place_is_found(texts: dict[str, str], old: str, new: str, says: str) -> None:
    assert old in texts[GLOSSARY]
    assert says in terms(texts | {GLOSSARY: texts[GLOSSARY].replace(old, new)})


def test_the_list_of_the_specification_has_the_words_that_brokers_fight_over() -> None:
    (glossary,) = (one for one in read(HERE) if one.name == GLOSSARY)
    words = {word.said: word for word in listed(glossary)}
    assert {one for one, word in words.items() if word.brokers} >= {"queue", "subject", "channel", "message"}
    assert all(word.instead for word in words.values())
    assert not words["payload"].brokers
