"""Our reading of RFC 3986 against another implementation of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rfc3986_validator import validate_rfc3986

from eventproof.schemas.uri import is_reference, is_uri

PIECES = ["a", "A1", "http", ":", "/", "//", "?", "#", "@", "%41", "%", "[", "]", "::", "1", "255", ".", "v1.", "!", " ", "é"]  # noqa: E501  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=10).map("".join) | st.text(max_size=8)


@given(texts)
@example("http://[::1]:80/a?b#c")
@example("http://[1:2:3:4:5:6:7::]/")
@example("http://[v1.a:b]")
@example("a:b:c")
@example("//")
@example("///a")
@example("a:///b")
@example("//a:b:c")
@example("a://b:c:d")
@example("./a:b")
@example(":a")
def test_it_agrees_with_another_implementation(text):
    without_newline = not text.endswith("\n")  # which the other one takes for the end of the text
    assert is_reference(text) == (without_newline and bool(validate_rfc3986(text, rule="URI_reference")))
    assert is_uri(text) == (without_newline and bool(validate_rfc3986(text)))


@pytest.mark.parametrize(
    "text",
    [
        "/orders",
        "urn:uuid:f81d4fae",
        "https://example.com/a?b=c#d",
        "mailto:a@b",
        "#f",
        "?q",
        "1-555-123",
        "orders",
    ],
)
def test_the_examples_of_cloudevents_are_references(text):
    assert is_reference(text)


def test_a_long_text_is_judged_in_linear_time():
    assert is_reference("a:" + "b/" * 100_000)
    assert not is_reference("a" * 200_000 + "\\")
    assert not is_reference("//" + "a" * 200_000 + "\\")
