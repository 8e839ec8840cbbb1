from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from eventproof.adapters.kafka import remarks
from eventproof.adapters.kafka.remarks import Remarks
from eventproof.adapters.kafka.seen import Seen
from eventproof.schemas.event import Event

WINDOW = 100
NEVER = {"expirytime": "2999-01-01T00:00:00Z"}
COPIES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.sampled_from(["settled", "lapsed"])), max_size=40
)


def event(name, key=None, **extensions):
    keyed = {} if key is None else {"partitionkey": key}
    return Event(source="/tests", type="t", id=name, extensions=keyed | extensions)


def log_of(copies):
    """offset, time, event and fate of each copy; time goes on."""
    at, log = 0, []
    for offset, (name, after, fate) in enumerate(copies):
        at += after
        log.append((offset, at, event(name, **NEVER if fate == "lapsed" or after % 2 else {}), fate))
    return log


def begin(window=WINDOW):
    return Seen(window, 0, Remarks())


def live(seen, log):
    """Whether each is a repeat, which is settled as one; those that are none meet their fate."""
    found = []
    for offset, at, stored, fate in log:
        copy = seen.read(offset, at, stored)
        repeated = seen.repeats(copy)
        found.append(repeated)
        if fate == "lapsed" and not repeated:
            seen.lapse(offset)
        else:
            seen.settle(copy)
        seen.advance(offset + 1)
    return found


def taken_over(seen, log, place):
    """What the next owner knows, who reads the log again up to the place."""
    anew = Seen(WINDOW, seen.history, seen.remarks)
    for offset, at, stored, _ in log[seen.history : place]:
        anew.recall(anew.read(offset, at, stored))
    return anew


@given(COPIES)
def test_kaf_038_a_copy_is_one_within_the_window_of_the_last_that_counts_which_it_does_not_renew(copies):
    first, expected = {}, []
    log = log_of(copies)
    for _, at, stored, fate in log:
        repeated = stored.id in first and at - first[stored.id] < WINDOW
        expected.append(repeated)
        if not repeated and fate == "settled":
            first[stored.id] = at
    assert live(begin(), log) == expected


@settings(max_examples=300)
@given(COPIES, st.integers(0, 40))
def test_kaf_039_the_next_owner_begins_at_the_history_and_comes_to_the_same(copies, place):
    log, seen = log_of(copies), begin()
    with patch.object(remarks, "MOST", 100):
        live(seen, log[:place])
        anew = taken_over(seen, log, place)
        assert live(anew, log[place:]) == live(seen, log[place:])


@settings(max_examples=300)
@given(COPIES, st.integers(0, 40), st.integers(0, 40))
def test_kaf_039_who_cannot_be_told_all_takes_nothing_for_a_repeat_that_is_none(copies, place, later):
    log, seen = log_of(copies), begin()
    with patch.object(remarks, "MOST", 1):
        live(seen, log[:place])
        anew = taken_over(seen, log, place)
        rest = log[place : place + later]
        for offset, at, stored, _ in rest:
            copy = seen.read(offset, at, stored)
            anew.read(offset, at, stored)
            assert seen.repeats(copy) or not anew.repeats(copy)


def test_copies_of_one_key_are_told_apart_from_those_of_another():
    seen = begin()
    seen.settle(seen.read(0, 0, event("a", "k")))
    assert seen.repeats(seen.read(1, 1, event("a", "k")))
    assert not seen.repeats(seen.read(2, 1, event("a", "l")))
    assert not seen.repeats(seen.read(3, 1, event("a")))


def test_kaf_038_a_dead_letter_is_no_call_of_its_event():
    assert begin().read(0, 0, event("a", dlreason="expired")) is None


def test_without_a_window_nothing_is_remembered():
    seen = begin(0)
    assert seen.read(0, 0, event("a")) is None
    seen.lapse(3)
    seen.advance(7)
    assert (seen.history, seen.remarks) == (7, Remarks())


def test_what_is_out_of_the_window_is_forgotten():
    seen = begin()
    log = [(number, number, event(str(number)), "settled") for number in range(1000)]
    live(seen, log)
    assert len(seen._first) == len(seen._order) <= WINDOW + WINDOW // 8
    assert 1000 - WINDOW - WINDOW // 4 < seen.history <= 1000 - WINDOW


def test_what_has_repeats_is_remembered_as_long_as_they_are():
    seen = begin()
    live(
        seen, [(0, 0, event("a"), "settled"), (1, 90, event("a"), "settled"), (2, 180, event("b"), "settled")]
    )
    assert seen.history == 0
    live(seen, [(3, 191, event("c"), "settled")])
    assert seen.history == 1
