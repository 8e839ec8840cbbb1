"""Dead letters: what they add, that it can be taken off again, and messages that are no events."""

from datetime import datetime, timedelta, timezone

import pytest

from eventproof.schemas.deadletter import (
    ATTRIBUTES,
    DeadLetterInfo,
    error_text,
    from_dead_letter,
    to_dead_letter,
    undecodable,
)
from eventproof.schemas.event import Event, InvalidEvent
from eventproof.schemas.structured import decode, encode

NOON = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
ORIGINAL = Event(
    source="/orders", type="t", id="1", time="2026-07-01T11:00:00.123456789Z", data={"a": 1},
    extensions={"partitionkey": "k", "expirytime": "2026-07-01T11:59:00Z"},
)  # fmt: skip


def dead(event=ORIGINAL, **changes):
    given = {
        "reason": "attempts",
        "attempts": 3,
        "topic": "orders",
        "group": "billing",
        "error": "no",
        "now": NOON,
    }
    return to_dead_letter(event, **{**given, **changes})


def test_a_dead_letter_tells_why_and_gives_the_original_back():
    letter = dead()
    original, info = from_dead_letter(decode(encode(letter)))
    assert original == ORIGINAL
    assert encode(original) == encode(ORIGINAL)
    assert info == DeadLetterInfo(
        reason="attempts", attempts=3, time=NOON, topic="orders", group="billing", error="no"
    )
    assert (letter.identity, letter.key) == (ORIGINAL.identity, "k")
    assert letter.extensions["dltime"] == "2026-07-01T12:00:00.000000Z"


def test_a_dead_letter_that_fails_again_tells_of_the_last_failure_only():
    again = dead(
        dead(error="first"), reason="rejected", attempts=1, group="audit", error="", now=NOON + timedelta(1)
    )
    assert "dlerror" not in again.extensions
    original, info = from_dead_letter(again)
    assert original == ORIGINAL
    assert (info.reason, info.attempts, info.group, info.error) == ("rejected", 1, "audit", "")


@pytest.mark.parametrize("missing", [name for name in ATTRIBUTES if name != "dlerror"])
def test_an_event_without_the_attributes_is_no_dead_letter(missing):
    with pytest.raises(InvalidEvent, match=f"{missing}: is missing"):
        from_dead_letter(dead().without(missing))


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "bored"},
        {"attempts": -1},
        {"topic": ""},
        {"group": "a\nb"},
        {"now": NOON.replace(tzinfo=None)},
    ],
)
def test_values_that_no_attribute_may_hold_are_refused(changes):
    with pytest.raises(InvalidEvent):
        dead(**changes)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("plain", "plain"),
        ("line 1\nline 2\tend", "line 1 line 2 end"),
        ("\x00\ud800\uffff", "\ufffd\ufffd\ufffd"),
        ("e" * 2000, "e" * 1024),
        ("x" + "\u00e9" * 1000, "x" + "\u00e9" * 511),
        ("\U0001f600" * 256, "\U0001f600" * 256),
        ("x" + "\U0001f600" * 256, "x" + "\U0001f600" * 255),
    ],
)
def test_the_error_is_made_fit_and_cut_at_a_characters_end(error, expected):
    assert error_text(error) == expected
    assert error_text(expected) == expected
    assert from_dead_letter(dead(error=error))[1].error == expected


@pytest.mark.parametrize("raw", [b"", b"\xff\x00", b'{"specversion":"1.0"}'])
def test_a_message_that_is_no_event_keeps_its_bytes(raw):
    given = {"topic": "orders/é", "group": "g", "position": "0:7", "error": "no JSON"}
    letter = undecodable(raw, **given, now=NOON)
    original, info = from_dead_letter(decode(encode(letter)))
    assert original.data == raw
    assert (info.reason, info.attempts, info.topic, info.error) == ("undecodable", 0, "orders/é", "no JSON")
    assert undecodable(raw, **given, now=NOON + timedelta(1)).identity == letter.identity
    assert undecodable(raw, **{**given, "position": "0:8"}, now=NOON).identity != letter.identity
