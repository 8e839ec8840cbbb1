from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventproof.adapters.kafka.remarks import EACH, MOST, Remarks, read, write

FAR = 0xFFFFFFFFF
MADE = st.lists(
    st.tuples(st.booleans(), st.integers(0, FAR)), max_size=3 * MOST, unique_by=lambda made: made[1]
)


def made(places, history=0):
    found = Remarks()
    for lapsed, offset in places:
        found = found.lapse(history + offset) if lapsed else found.open(history + offset)
    return found


@given(MADE)
def test_each_is_told_or_unsure(places):
    found = made(places)
    assert len(found.lapsed) + len(found.opened) <= MOST
    for lapsed, offset in places:
        assert offset in (found.lapsed if lapsed else found.opened) or offset < found.unsure
        assert offset not in (found.opened if lapsed else found.lapsed)


@given(MADE, st.integers(0, 1 << 60))
def test_what_was_written_is_read_again_and_is_short(places, history):
    found = made(places, history).since(history)
    text = write(found, history)
    assert read(text, history) == found
    assert len(text) <= (MOST + 1) * EACH


@given(MADE, st.integers(0, FAR))
def test_what_lies_before_the_history_is_left_out(places, history):
    found = made(places).since(history)
    assert all(offset >= history for offset in (*found.lapsed, *found.opened))
    assert found.unsure == 0 or found.unsure > history


def test_the_text_can_be_read_by_people():
    assert write(Remarks(), 5) == "-"
    assert write(Remarks((7,), (36,)), 5) == "2,1f!"
    assert write(Remarks((36,), (7,), 14), 5) == "9*2!,1f"


@pytest.mark.parametrize("text", ["x", "2,", "1**2", "2!!", "-,2"])
def test_what_somebody_else_wrote_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read(text, 5)
