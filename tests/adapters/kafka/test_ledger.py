"""The ledger against a model that knows what is out, and against owners that come and go."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eventproof.adapters.kafka.ledger import Ledger
from eventproof.adapters.kafka.progress import LIMIT, Progress, Touched, decode, encode
from eventproof.adapters.kafka.slot import State
from eventproof.adapters.kafka.terms import Terms

POLICY = "0123456789abcdef"
LEASE, HOLD, SKEW = 5.0, 1.0, 1_700_000_000.0
KEYS = [None, "a", "b", "c"]


def ledger_at(state, limit=None):
    return Ledger(state, Terms(POLICY, LEASE, HOLD, limit, SKEW))


class Owners(RuleBasedStateMachine):
    """One partition of a log, with gaps and records of no interest, and its owners one after the other."""

    def __init__(self):
        super().__init__()
        self.log = {}  # offset to (key, wanted)
        self.end = 0
        self.now = 100.0
        self.committed = (0, encode(Progress(0, POLICY), 0))
        self.in_flight = None
        self.out = {}  # offset to slot
        self.settled = set()  # surely
        self.doubtful = set()  # settled by an owner whose commit may not have arrived
        self.hand_outs = defaultdict(int)
        self.not_before = {}  # durably
        self.first = {}
        self.ledger = ledger_at(Progress(0, POLICY))

    @initialize(records=st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 2)), max_size=12))
    def begin(self, records):
        for key, gap in records:
            self.publish(key, gap, wanted=True)

    @rule(key=st.sampled_from(KEYS), gap=st.integers(0, 2), wanted=st.booleans())
    def publish(self, key, gap, wanted):
        self.end += gap
        self.log[self.end] = (key, wanted)
        self.end += 1

    @rule(number=st.integers(1, 6))
    def fetch(self, number):
        for offset in [at for at in sorted(self.log) if at >= self.ledger.position][:number]:
            key, wanted = self.log[offset]
            if wanted:
                self.ledger.admit(offset, key, offset, 10, self.now)
            else:
                self.ledger.skip(offset)
        if not [at for at in self.log if at >= self.ledger.position]:
            self.ledger.passed(self.end)

    @rule(wanted=st.integers(1, 4))
    def reserve(self, wanted):
        self.ledger.reserve(wanted, self.now)

    @rule()
    @precondition(lambda self: self.in_flight is None)
    def send_commit(self):
        self.in_flight = (self.ledger.version, self.ledger.snapshot(self.now), set(self.doubtful))

    @rule()
    @precondition(lambda self: self.in_flight is not None)
    def confirm(self):
        version, self.committed, told = self.in_flight
        self.ledger.confirmed = version
        self.settled |= told
        self.doubtful -= told
        self.in_flight = None

    @rule()
    def hand_out(self):
        slot = self.ledger.next_confirmed(self.now)
        if slot is None:
            return
        key, wanted = self.log[slot.offset]
        assert wanted
        assert slot.offset not in self.settled | self.doubtful
        earlier = [at for at, (other, is_wanted) in self.log.items() if at < slot.offset and other == key]
        if key is not None:
            assert all(at in self.settled or not self.log[at][1] for at in earlier), "overtaken"
            assert not [held for held in self.out.values() if held.lane.key == key]
        assert self.now >= self.not_before.get(slot.offset, 0)
        self.hand_outs[slot.offset] += 1
        assert slot.attempt >= self.hand_outs[slot.offset]
        self.out[slot.offset] = slot

    @rule(data=st.data())
    @precondition(lambda self: self.out)
    def ack(self, data):
        offset = data.draw(st.sampled_from(sorted(self.out)))
        self.ledger.settle(self.out.pop(offset), self.now)
        self.doubtful.add(offset)

    @rule(data=st.data(), delay=st.sampled_from([0.0, 0.5, 30.0]))
    @precondition(lambda self: self.out)
    def nack(self, data, delay):
        offset = data.draw(st.sampled_from(sorted(self.out)))
        self.ledger.retry(self.out.pop(offset), self.now + delay, self.now)
        self.send_now()
        self.not_before[offset] = self.now + delay

    @rule(data=st.data())
    @precondition(lambda self: self.out)
    def extend(self, data):
        self.ledger.extend(self.out[data.draw(st.sampled_from(sorted(self.out)))], self.now)

    @rule(seconds=st.sampled_from([0.1, 2.0, 40.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def next_owner(self):
        """The owner is gone without a word; a commit of its that was under way is refused from now on."""
        self.out.clear()
        self.in_flight = None
        self.doubtful.clear()
        self.ledger = ledger_at(decode(*self.committed))

    @rule()
    def leave(self):
        """The owner gives everything back."""
        for slot in self.out.values():
            self.ledger.retry(slot, self.now, self.now)
        for slot in self.ledger.reserved():
            self.ledger.take_back(slot, self.now)
        self.send_now()
        self.next_owner()
        for offset, touched in decode(*self.committed).touched.items():
            assert touched.attempt >= self.hand_outs[offset]

    def send_now(self):
        if self.in_flight is not None:
            self.confirm()
        self.send_commit()
        self.confirm()

    @invariant()
    def it_fits(self):
        assert len(self.ledger.snapshot(self.now)[1]) <= LIMIT

    @invariant()
    def nothing_is_passed_that_is_not_settled(self):
        offset, text = self.ledger.snapshot(self.now)
        told = decode(offset, text)
        for at, (_, wanted) in self.log.items():
            told_settled = at < offset or any(start <= at < end for start, end in told.settled)
            assert not told_settled or not wanted or at in self.settled | self.doubtful

    def teardown(self):
        """Whatever happened, each event can be drained: nothing is lost."""
        self.next_owner()
        for _ in range(3 * len(self.log) + 3):
            self.now += 100
            self.fetch(100)
            self.reserve(100)
            self.send_now()
            while (slot := self.ledger.next_confirmed(self.now)) is not None:
                self.out[slot.offset] = slot
            for offset in sorted(self.out):
                self.ledger.settle(self.out.pop(offset), self.now)
                self.doubtful.add(offset)
        self.send_now()
        assert self.settled >= {at for at, (_, wanted) in self.log.items() if wanted}
        assert self.committed[0] == self.end


TestOwners = Owners.TestCase
TestOwners.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


def test_kaf_027_a_blocked_key_leaves_room_for_the_first_of_all():
    ledger = ledger_at(Progress(0, POLICY))
    for offset in range(4000):
        ledger.admit(offset, "hot" if offset % 2 == 0 else f"k{offset}", offset, 10, 0.0)
    done = 0
    for _ in range(4200):
        ledger.reserve(50, 0.0)
        ledger.confirmed = ledger.version
        while (slot := ledger.next_confirmed(0.0)) is not None:
            assert len(ledger.snapshot(0.0)[1]) <= LIMIT
            ledger.settle(slot, 0.0)
            done += 1
    assert done == 4000
    assert ledger.offset == 4000


def test_kaf_027_a_failing_key_stops_the_others_only_where_the_text_is_full():
    ledger = ledger_at(Progress(0, POLICY))
    for offset in range(4000):
        ledger.admit(offset, "hot" if offset % 2 == 0 else None, offset, 10, 0.0)
    done, held = 0, None
    while ledger.reserve(10, 0.0):
        ledger.confirmed = ledger.version
        while (slot := ledger.next_confirmed(0.0)) is not None:
            if slot.offset == 0:
                held = slot
            else:
                ledger.settle(slot, 0.0)
                done += 1
    assert held is not None
    assert done > 330
    assert len(ledger.snapshot(0.0)[1]) <= LIMIT


def test_who_has_no_attempt_left_is_told_apart():
    ledger = ledger_at(Progress(0, POLICY), limit=1)
    ledger.admit(0, "a", 0, 10, 0.0)
    ledger.reserve(1, 0.0)
    ledger.confirmed = ledger.version
    slot = ledger.next_confirmed(0.0)
    ledger.retry(slot, 1.0, 0.0)
    assert ledger.next_due == 1.0
    assert ledger.reserve(1, 0.5) == 0
    assert not ledger.exhausted
    assert ledger.reserve(1, 1.0) == 0
    assert list(ledger.exhausted) == [slot]
    assert slot.state is State.DYING
    ledger.settle(slot, 1.0)
    assert ledger.offset == 1
    assert ledger.queued_bytes == 0


def test_a_reservation_that_waited_too_long_is_confirmed_again():
    ledger = ledger_at(Progress(0, POLICY))
    ledger.admit(0, None, 0, 10, 0.0)
    ledger.reserve(1, 0.0)
    ledger.confirmed = ledger.version
    assert ledger.next_confirmed(HOLD + 0.1) is None
    assert ledger.ahead == 1
    ledger.confirmed = ledger.version
    slot = ledger.next_confirmed(HOLD + 0.2)
    assert slot.attempt == 1


def test_kaf_031_what_was_reserved_and_not_handed_out_was_no_attempt():
    ledger = ledger_at(Progress(0, POLICY))
    for offset in range(3):
        ledger.admit(offset, None, offset, 10, 0.0)
    ledger.reserve(2, 0.0)
    for slot in ledger.reserved():
        ledger.take_back(slot, 0.0)
    assert ledger.ahead == 0
    assert decode(*ledger.snapshot(0.0)) == Progress(0, POLICY, (), {}, 0)
    assert ledger.reserve(5, 0.0) == 3


def test_a_blocked_record_stops_its_key_and_stays():
    ledger = ledger_at(Progress(0, POLICY))
    ledger.block(0, "a")
    ledger.admit(1, "a", 1, 10, 0.0)
    ledger.admit(2, "b", 2, 10, 0.0)
    assert ledger.reserve(5, 0.0) == 1
    ledger.confirmed = ledger.version
    ledger.settle(ledger.next_confirmed(0.0), 0.0)
    assert decode(*ledger.snapshot(0.0)) == Progress(0, POLICY, ((2, 3),), {}, 0)


def test_a_snapshot_can_leave_one_out():
    ledger = ledger_at(Progress(0, POLICY))
    for offset in range(3):
        ledger.admit(offset, None, offset, 10, 0.0)
    ledger.reserve(3, 0.0)
    ledger.confirmed = ledger.version
    slots = [ledger.next_confirmed(0.0) for _ in range(3)]
    ledger.settle(slots[1], 0.0)
    offset, text = ledger.snapshot(0.0, without=slots[0])
    assert offset == 2
    assert set(decode(offset, text).touched) == {2}
    assert decode(*ledger.snapshot(0.0)).settled == ((1, 2),)


def test_what_was_never_attempted_and_what_is_retried_take_turns():
    ledger = ledger_at(Progress(0, POLICY))
    for offset in range(6):
        ledger.admit(offset, f"key-{offset}", offset, 10, 0.0)
    for slot in handed_out(ledger, 3):
        ledger.retry(slot, 0.0, 0.0)
    assert ledger.retries_next
    assert [slot.offset for slot in handed_out(ledger, 6)] == [0, 3, 1, 4, 2, 5]


def test_an_owner_begins_with_what_was_never_attempted():
    touched = {offset: Touched(2, 0) for offset in range(2)}
    ledger = ledger_at(Progress(0, POLICY, (), touched))
    for offset in range(4):
        ledger.admit(offset, f"key-{offset}", offset, 10, 0.0)
    assert [slot.offset for slot in handed_out(ledger, 4)] == [2, 0, 3, 1]


def handed_out(ledger, number):
    ledger.reserve(number, 0.0)
    ledger.confirmed = ledger.version
    return [ledger.next_confirmed(0.0) for _ in range(number)]
