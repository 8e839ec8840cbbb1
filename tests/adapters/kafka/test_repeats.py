"""What is published several times, against a model that knows what became of each copy: whoever owns the
partition, no event is lost, and none is handed out again within the window after it was settled."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from eventproof.adapters.kafka import remarks
from eventproof.adapters.kafka.ledger import Ledger
from eventproof.adapters.kafka.progress import Progress, decode, encode
from eventproof.adapters.kafka.terms import Terms
from eventproof.schemas.event import Event

POLICY = "0123456789abcdef"
WINDOW = 100


class Repeats(RuleBasedStateMachine):
    """One partition of a log, in which events are stored several times, and its owners one after another."""

    most = 1000  # remarks that can be told

    def __init__(self):
        super().__init__()
        self.limit = patch.object(remarks, "MOST", self.most)
        self.limit.start()
        self.log = []  # of the time and the event
        self.at = 0
        self.now = 0.0
        self.committed = (0, encode(Progress(0, POLICY), 0))
        self.in_flight = None
        self.expired = set()
        self.acked = set()  # confirmed
        self.doubtful = set()  # by an owner whose commit may not have arrived
        self.out = {}
        self.take_over()

    @rule(
        name=st.sampled_from("ab"),
        key=st.sampled_from([None, "k"]),
        after=st.integers(0, 70),
        mortal=st.booleans(),
    )
    def publish(self, name, key, after, mortal):
        self.at += after
        extensions = {} if key is None else {"partitionkey": key}
        if mortal:
            extensions["expirytime"] = "2020-01-01T00:00:00Z"
        self.log.append((self.at, Event(source="/tests", type="t", id=name, extensions=extensions)))

    @rule(data=st.data())
    @precondition(lambda self: self.mortal())
    def expire(self, data):
        self.expired.add(data.draw(st.sampled_from(self.mortal())))

    @rule(number=st.integers(1, 8))
    def fetch(self, number):
        ledger = self.ledger
        for offset, (at, event) in list(enumerate(self.log))[self.read : self.read + number]:
            copy, self.read = ledger.seen.read(offset, at, event), offset + 1
            if ledger.done(offset):
                ledger.passed(offset + 1)
                ledger.seen.recall(copy)
            else:
                ledger.admit(offset, event.key, event, 1, self.now, copy)

    @rule(wanted=st.integers(1, 3))
    def reserve(self, wanted):
        self.ledger.reserve(wanted, self.now)

    @rule()
    @precondition(lambda self: self.in_flight is None)
    def send_commit(self):
        self.in_flight = (self.ledger.version, self.ledger.snapshot(self.now), set(self.doubtful))

    @rule()
    @precondition(lambda self: self.in_flight is not None)
    def confirm(self):
        self.ledger.confirmed = self.in_flight[0]
        self.arrive()

    @rule()
    def hand_out(self):
        slot = self.ledger.next_confirmed(self.now)
        if slot is None:
            return
        if slot.offset not in self.expired:
            self.may_be_handed_out(slot)
            self.out[slot.offset] = slot
            return
        slot.attempt -= 1
        slot.lapsed = True
        if slot.offset % 2:
            self.ledger.settle(slot, self.now)
        elif self.in_flight is None:
            self.bury(slot, set())
            self.ledger.settle(slot, self.now)
        else:
            self.ledger.give_up(slot)
            self.ledger.retry(slot, self.now, self.now)

    @rule(data=st.data(), is_gone=st.booleans())
    @precondition(lambda self: self.out and self.in_flight is None)
    def reject(self, data, is_gone):
        offset = data.draw(st.sampled_from(sorted(self.out)))
        slot = self.out.pop(offset)
        self.bury(slot, {offset})
        if is_gone:
            self.next_owner(arrives=False)
        else:
            self.ledger.settle(slot, self.now)

    def bury(self, slot, handled):
        """The dead letter and the place of the group are one."""
        self.ledger.give_up(slot)
        version, told = self.ledger.version, self.ledger.snapshot(self.now, without=slot)
        self.in_flight = (version, told, self.doubtful | handled)
        self.confirm()

    @rule(data=st.data(), lost=st.booleans())
    @precondition(lambda self: self.out)
    def settle(self, data, lost):
        offset = data.draw(st.sampled_from(sorted(self.out)))
        slot = self.out.pop(offset)
        if lost:
            self.ledger.retry(slot, self.now, self.now)
        else:
            self.ledger.settle(slot, self.now)
            self.doubtful.add(offset)

    @rule(arrives=st.booleans())
    def next_owner(self, arrives):
        """The owner is gone without a word; a commit that was under way may have arrived."""
        if arrives and self.in_flight is not None:
            self.arrive()
        self.in_flight = None
        self.doubtful.clear()
        self.out.clear()
        self.take_over()

    def take_over(self):
        self.now += 10  # by when what was handed out is due again
        state = decode(*self.committed)
        self.ledger = Ledger(state, Terms(POLICY, 1.0, 1.0, None, 0.0, WINDOW))
        self.read = min(self.ledger.offset, self.ledger.seen.history)

    def arrive(self):
        _, self.committed, told = self.in_flight
        self.acked |= told
        self.doubtful -= told
        self.in_flight = None

    def mortal(self):
        return [
            offset
            for offset, (_, event) in enumerate(self.log)
            if "expirytime" in event.extensions and offset not in self.expired and offset not in self.out
        ]

    def standing(self, offset):
        """The copies that were surely handled and stand for this one."""
        at, event = self.log[offset]
        earlier = [
            other
            for other in range(offset)
            if (self.log[other][1].id, self.log[other][1].key) == (event.id, event.key)
        ]
        return {other for other in earlier if at - self.log[other][0] < WINDOW} & self.acked

    def may_be_handed_out(self, slot):
        assert slot.offset not in self.acked | self.doubtful
        assert not self.standing(slot.offset), "handed out again"

    def teardown(self):
        """Whatever happened, what did not expire is handled, or one that stands for it was."""
        self.next_owner(arrives=False)
        for _ in range(4 * len(self.log) + 4):
            self.fetch(100)
            self.reserve(100)
            if self.in_flight is None:
                self.send_commit()
            self.confirm()
            self.hand_out()
            for offset in sorted(self.out):
                self.ledger.settle(self.out.pop(offset), self.now)
                self.doubtful.add(offset)
        self.limit.stop()
        lost = [at for at in range(len(self.log)) if at not in self.acked and at not in self.expired]
        assert not [offset for offset in lost if not self.standing(offset)]
        assert self.committed[0] == len(self.log)


class ManyRemarks(Repeats):
    """More than can be told: some are handed out twice, and still none is lost."""

    most = 1

    def may_be_handed_out(self, slot):
        assert slot.offset not in self.acked | self.doubtful


TestRepeats = Repeats.TestCase
TestManyRemarks = ManyRemarks.TestCase
TestRepeats.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestManyRemarks.settings = TestRepeats.settings
