from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventproof.adapters.kafka.progress import (
    ENTRY,
    LATEST,
    LIMIT,
    MOST_ATTEMPTS,
    MOST_BEHIND,
    MOST_UNSEEN,
    RANGE,
    SPAN,
    Progress,
    Touched,
    decode,
    encode,
    fits,
)
from eventproof.adapters.kafka.ranges import Ranges

NOW = 1_790_000_000_000
POLICY = "0123456789abcdef"
DUE = st.one_of(st.just(0), st.integers(NOW + 1, NOW + LATEST))
ENTRIES = st.builds(Touched, st.integers(0, MOST_ATTEMPTS), DUE, st.booleans())


@st.composite
def states(draw):
    offset = draw(st.integers(0, 1 << 62))
    marks = draw(st.dictionaries(st.integers(1, 40), st.one_of(st.just(None), ENTRIES)))
    settled = Ranges((offset + at, offset + at + 1) for at, entry in marks.items() if entry is None)
    touched = {offset + at: entry for at, entry in marks.items() if entry is not None}
    history = draw(st.integers(max(0, offset - MOST_BEHIND + 50), offset))
    unseen = st.frozensets(st.integers(history, offset + 40), max_size=MOST_UNSEEN)
    return Progress(offset, POLICY, tuple(settled), touched, history, draw(st.none() | unseen))


@given(states())
def test_what_was_written_is_read_again(state):
    assert decode(state.offset, encode(state, NOW)) == state


def test_the_text_can_be_read_by_people():
    touched = {10: Touched(1, NOW + 0x7530), 11: Touched(1, NOW + 0x7530), 12: Touched(3, 0, dying=True)}
    state = Progress(5, POLICY, ((7, 9), (13, 25)), touched, 2, frozenset({3, 30}))
    text = f"1 {POLICY} {NOW:x} 3 1,1c 2_ 2. 1_ 2*1@7530, 3! c."
    assert encode(state, NOW) == text
    assert decode(5, text) == state


FOREIGN = [
    "",
    "hello",
    "2 p 1 0",
    f"1 {POLICY} zz 0 -",
    f"1 {POLICY} 1 0 - 5?",
    f"1 {POLICY} 1 0 - 5_  3,",
    "1 p",
]


@pytest.mark.parametrize("text", FOREIGN)
def test_what_somebody_else_wrote_is_the_place_alone(text):
    assert decode(17, text) == Progress(17, "")


def test_what_is_past_its_time_may_be_handed_out():
    state = Progress(5, POLICY, (), {5: Touched(2, NOW - 1)}, 5)
    assert decode(5, encode(state, NOW)).touched == {5: Touched(2)}


@given(st.data())
def test_what_is_taken_to_fit_fits(data):
    ranges = data.draw(st.integers(0, (LIMIT // RANGE) + 5))
    touched = data.draw(st.integers(0, (LIMIT // ENTRY) + 5))
    if fits(touched, ranges):
        assert len(encode(longest(touched, ranges), NOW)) <= LIMIT


def test_the_widest_state_that_fits_is_wide():
    assert fits(175, 0)
    assert fits(0, 370)
    assert not fits(200, 0)


def longest(touched, ranges):
    """As long as a text of so many can be: each far from the one before, as far as the span goes."""
    offset = 1 << 62
    worst = Touched(MOST_ATTEMPTS, NOW + LATEST, dying=True)
    step = SPAN // max(touched + ranges, 1)
    places = [offset + step * number for number in range(1, touched + ranges + 1)]
    settled = tuple((at, at + step - 1) for at in places[touched:])
    history = offset - MOST_BEHIND
    unseen = frozenset(range(offset - MOST_UNSEEN, offset))
    return Progress(offset, POLICY, settled, dict.fromkeys(places[:touched], worst), history, unseen)


def test_more_than_can_be_told_is_told_as_such():
    state = Progress(500, POLICY, (), {}, 100, frozenset(range(200, 201 + MOST_UNSEEN)))
    assert decode(500, encode(state, NOW)).unseen is None
