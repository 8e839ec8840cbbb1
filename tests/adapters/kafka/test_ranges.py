from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from eventproof.adapters.kafka.ranges import Ranges

PIECES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda piece: (piece[0], sum(piece))))


def members(pieces):
    return {offset for start, end in pieces for offset in range(start, end)}


@given(PIECES)
def test_they_hold_what_was_added_and_no_two_touch(pieces):
    ranges = Ranges(pieces)
    held = list(ranges)
    assert members(held) == members(pieces)
    assert all(before[1] < after[0] for before, after in pairwise(held))
    assert len(ranges) == len(held)
    assert all((offset in ranges) == (offset in members(pieces)) for offset in range(-1, 72))


@given(PIECES, st.integers(0, 70))
def test_what_reaches_an_offset_is_taken_with_what_lies_below(pieces, offset):
    ranges, all_of = Ranges(pieces), members(pieces)
    end = ranges.take_from(offset)
    expected = offset
    while expected in all_of:
        expected += 1
    assert end == expected
    assert members(ranges) == {member for member in all_of if member >= end}
