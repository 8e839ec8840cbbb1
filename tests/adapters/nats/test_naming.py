from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventproof.adapters.errors import Rejected
from eventproof.adapters.nats import naming
from eventproof.adapters.policy import Policy
from eventproof.schemas.event import Event

NAMES = st.text(min_size=1, max_size=12)
TYPES = st.lists(st.sampled_from(["a", "b", "", "*", ">", "é", "a b"]), min_size=1, max_size=4).map(".".join)
TOKEN = re.compile(r"[A-Za-z0-9_=~-]+")


def matches(subject: str, pattern: str) -> bool:
    """What a NATS server does: `*` is one token, `>` is one or more at the end."""
    tokens, wanted = subject.split("."), pattern.split(".")
    if wanted[-1] == ">":
        tokens, wanted = (
            (tokens[: len(wanted) - 1], wanted[:-1]) if len(tokens) >= len(wanted) else ([""], wanted)
        )
    return len(tokens) == len(wanted) and all(w in ("*", t) for t, w in zip(tokens, wanted, strict=True))


@given(NAMES, NAMES)
def test_nat_002_tokens_are_safe_and_differ_when_names_differ(one, other):
    assert TOKEN.fullmatch(naming.token(one))
    assert (naming.token(one) == naming.token(other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("A_z-9", "A_z-9"),
        ("a.b", "a=2Eb"),
        ("a b", "a=20b"),
        ("*", "=2A"),
        (">", "=3E"),
        ("~", "=7E"),
        ("=", "=3D"),
        ("köln", "k=C3=B6ln"),
        ("\U0001f600", "=F0=9F=98=80"),
        ("", "~"),
    ],
)
def test_nat_002_every_other_byte_is_two_hexadecimal_digits(name, written):
    assert naming.token(name) == written


@given(NAMES, NAMES)
def test_nat_001_streams_differ_when_topics_or_prefixes_differ(one, other):
    assert (naming.stream("p", one) == naming.stream("p", other)) == (one == other)
    assert naming.stream("p", one) != naming.stream("p-q", one)


@given(TYPES, st.lists(st.one_of(TYPES, TYPES.map(lambda t: f"{t}.*")), max_size=3).map(tuple))
def test_nat_005_the_servers_filter_matches_what_the_policy_wants(event_type, wanted):
    if not event_type.strip("."):
        event_type = "a" + event_type
    subject = f"{naming.root('p', 't')}.3.key.{naming.types(event_type)}"
    found = [pattern for pattern in naming.filters("p", "t", 3, wanted) if matches(subject, pattern)]
    assert bool(found) == Policy(types=wanted).wants(event_type)
    assert len(found) <= 1, "the server refuses filters that overlap"


@given(st.text(min_size=1, max_size=200))
def test_nat_003_a_subject_has_one_token_for_any_key(key):
    try:
        event = Event(source="/s", type="a.b", extensions={"partitionkey": key})
    except ValueError:
        return
    tokens = naming.subject("p", "t", event).split(".")
    assert len(tokens) == 5
    assert all(TOKEN.fullmatch(token) for token in tokens)
    assert len(tokens[2]) <= naming.MAX_KEY


@pytest.mark.parametrize(
    ("key", "event_type", "written"),
    [
        ("customer-17", "com.example.order.paid.v1", "customer-17.com.example.order.paid.v1"),
        ("a.b *", "a..b", "a=2Eb=20=2A.a.~.b"),
        ("k" * 100, "t", f"{'k' * 100}.t"),
        ("k" * 101, "t", "~3b1e27579aaf8a10.t"),
        ("é" * 17, "t", "~7a6743291f44b447.t"),
        (None, "t", "~e9081cb368642347.t"),
    ],
)
def test_nat_003_a_subject_is_written_as_the_document_says(key, event_type, written):
    event = Event(source="/s", id="1", type=event_type, extensions={"partitionkey": key})
    assert naming.subject("eventproof", "my orders", event) == f"eventproof.my=20orders.{written}"


@pytest.mark.parametrize("name", ["", "x" * 200, "é" * 40, ">" * 80])
def test_names_that_do_not_fit_are_refused(name):
    with pytest.raises(Rejected, match="invalid"):
        naming.stream("eventproof", name)
    with pytest.raises(Rejected, match="invalid"):
        naming.durable(name, 0)


def test_a_type_that_does_not_fit_is_refused():
    with pytest.raises(Rejected, match="invalid"):
        naming.types("a." * 1000)
