from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventproof.adapters.kafka.seen import Seen

WINDOW = 100
COPIES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), max_size=30)


def log_of(copies):
    """offset, time and name of each copy; time goes on."""
    at, log = 0, []
    for offset, (name, after) in enumerate(copies):
        at += after
        log.append((offset, at, name))
    return log


def note(seen, log):
    return [seen.repeats(offset, at, name, told=True) for offset, at, name in log]


@given(COPIES)
def test_a_copy_is_one_within_the_window_of_the_first_which_it_does_not_renew(copies):
    first, expected = {}, []
    log = log_of(copies)
    for _, at, name in log:
        repeated = name in first and at - first[name] < WINDOW
        expected.append(repeated)
        if not repeated:
            first[name] = at
    assert note(Seen(WINDOW), log) == expected


@given(COPIES, st.integers(0, 30))
def test_the_next_owner_begins_at_the_horizon_and_comes_to_the_same(copies, place):
    log = log_of(copies)
    seen, rest = Seen(WINDOW), log[place:]
    note(seen, log[:place])
    begin = seen.horizon(min(place, len(log)))
    anew = Seen(WINDOW)
    note(anew, log[begin:place])
    assert note(anew, rest) == note(seen, rest)


def test_one_that_may_expire_stands_for_the_next_once_it_was_handed_out():
    seen = Seen(WINDOW)
    assert not seen.repeats(0, 0, "a", told=False)
    assert not seen.repeats(1, 10, "a", told=True)
    assert not seen.handed_out(0)
    assert seen.handed_out(1)
    assert seen.repeats(2, 20, "a", told=True)


def test_one_that_expired_unseen_stands_for_nothing_and_the_next_takes_its_place():
    seen = Seen(WINDOW)
    assert not seen.repeats(0, 0, "a", told=False)
    assert not seen.repeats(1, 90, "a", told=True)
    assert not seen.handed_out(1)
    assert seen.repeats(2, 180, "a", told=True)
    assert not seen.repeats(3, 190, "a", told=True)


def test_what_was_settled_long_ago_is_told_by_the_log_alone():
    seen = Seen(WINDOW)
    assert not seen.repeats(0, 0, "unseen", told=False, settled=True)
    assert not seen.repeats(1, 0, "seen", told=True, settled=True)
    assert not seen.repeats(2, 5, "unseen", told=True, settled=True)
    assert seen.repeats(3, 10, "seen", told=True)
    assert seen.repeats(4, 104, "unseen", told=True)
    assert seen.horizon(9) == 0


def test_what_is_out_of_the_window_is_forgotten():
    seen = Seen(WINDOW)
    for number in range(1000):
        seen.repeats(number, number, str(number), told=True)
    assert len(seen._first) == len(seen._order) <= WINDOW + 1
    assert seen.horizon(-1) >= 1000 - WINDOW - 1
