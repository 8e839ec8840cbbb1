from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventproof.adapters.kafka.progress import (
    ENTRY,
    LATEST,
    LIMIT,
    MOST_ATTEMPTS,
    MOST_BEHIND,
    RANGE,
    ROOM,
    SPAN,
    Progress,
    Touched,
    decode,
    encode,
    fits,
)
from eventproof.adapters.kafka.ranges import Ranges
from eventproof.adapters.kafka.remarks import MOST, Remarks

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
    history = draw(st.integers(max(0, offset - MOST_BEHIND), offset))
    lapsed, opened = (
        tuple(sorted(draw(st.sets(st.integers(history, offset + 40), max_size=MOST // 2)))) for _ in range(2)
    )
    unsure = draw(st.just(0) | st.integers(history + 1, offset + 41))
    remarks = Remarks(lapsed, opened, unsure)
    return Progress(offset, POLICY, tuple(settled), touched, history, remarks)


@given(states())
def test_kaf_026_what_was_written_is_read_again(state):
    assert decode(state.offset, encode(state, NOW)) == state


def test_kaf_026_the_text_can_be_read_by_people():
    touched = {10: Touched(1, NOW + 0x7530), 11: Touched(1, NOW + 0x7530), 12: Touched(3, 0, dying=True)}
    state = Progress(5, POLICY, ((7, 9), (13, 25)), touched, 2, Remarks((3, 30)))
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
def test_kaf_026_what_somebody_else_wrote_is_the_place_alone(text):
    assert decode(17, text) == Progress(17, "")


def test_what_is_past_its_time_may_be_handed_out():
    state = Progress(5, POLICY, (), {5: Touched(2, NOW - 1)}, 5)
    assert decode(5, encode(state, NOW)).touched == {5: Touched(2)}


@given(st.integers(0, ROOM // ENTRY))
@example(ROOM // ENTRY)
def test_kaf_027_what_is_taken_to_fit_fits(touched):
    ranges = (ROOM - touched * ENTRY) // RANGE
    assert fits(touched, ranges)
    assert not fits(touched, ranges + 1)
    assert len(encode(longest(touched, ranges), NOW)) <= LIMIT


def test_the_history_that_is_told_has_an_end():
    state = Progress(1 << 62, POLICY, history=0, remarks=Remarks((5,), ((1 << 62) - 1,), 9))
    history = (1 << 62) - MOST_BEHIND
    told = Progress(1 << 62, POLICY, history=history, remarks=Remarks((), ((1 << 62) - 1,)))
    assert decode(1 << 62, encode(state, NOW)) == told


def test_the_widest_state_that_fits_is_wide():
    assert fits(170, 0)
    assert fits(0, 370)
    assert not fits(200, 0)


def longest(touched, ranges):
    """As long as a text of so many can be: each far from the one before, as far as the span goes."""
    offset = 1 << 62
    worst = Touched(MOST_ATTEMPTS, NOW + LATEST, dying=True)
    step = SPAN // max(touched + ranges, 1)
    places = [offset + step * number for number in range(1, touched + ranges + 1)]
    settled = tuple((at, at + step - 1) for at in places[touched:])
    remarks = Remarks((), tuple(range(offset + SPAN - MOST, offset + SPAN)), offset + SPAN - MOST)
    return Progress(offset, POLICY, settled, dict.fromkeys(places[:touched], worst), 0, remarks)
