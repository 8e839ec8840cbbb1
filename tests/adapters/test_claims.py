"""Claims are data: closed, frozen, and nothing is claimed by default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from eventproof.adapters.claims import Attempts, Claims, Deduplication, Ordering, Survives
from eventproof.adapters.memory.claims import claims
from eventproof.adapters.memory.state import Options

NOTHING = {"may", "any", "none", "sent", "first-delivery", "confirmed", "present", False, None, ()}


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from leaves(getattr(value, field))
    else:
        yield value


def test_the_default_claims_nothing() -> None:
    within = Claims().redelivery.within  # seconds: no claim without a kind of redelivery
    assert {leaf for leaf in leaves(Claims()) if leaf != within} <= NOTHING


@pytest.mark.parametrize(
    "value",
    [
        Claims(),
        claims(Options()),
        claims(Options(delivery="at-most-once", dedup="none")),
        Claims(
            ordering=Ordering(scope="topic", strictness="settled", publish="pipelined", agreement="groups"),
            attempts=Attempts(never_low=True),
            publish_dedup=Deduplication(scope="key", window=2.5),
            survives=Survives(messages=("consumer-loss", "broker-kill")),
        ),
    ],
)
def test_claims_have_a_json_form(value: Claims) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=Claims) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"loss": "sometimes"}',
        b'{"exactly_once": true}',
        b'{"ordering": {"scope": "partition"}}',
        b'{"ordering": {"range": "key"}}',
        b'{"survives": {"messages": ["meteorite"]}}',
        b'{"expiry": "yes"}',
    ],
)
def test_what_is_no_claim_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Claims)


def test_claims_do_not_change() -> None:
    value = Claims()
    with pytest.raises(AttributeError):
        value.loss = "never"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        value.ordering.scope = "key"  # type: ignore[misc]
    assert hash(value) == hash(Claims())
