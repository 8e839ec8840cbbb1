"""What a lane makes of answers that no broker gives at will: outcomes are true, and nobody is stuck."""

from __future__ import annotations

import asyncio

import aiokafka.errors as kafka
import pytest

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.kafka.batch import Identity, Record, Stored
from eventproof.adapters.kafka.content import Content
from eventproof.adapters.kafka.lane import Lane

SIZE = 10_000
OK = 0
CONNECTION = kafka.KafkaConnectionError("broken")
NOT_READY = kafka.NodeNotReadyError()
OUT_OF_STEP = [kafka.OutOfOrderSequenceNumber, kafka.UnknownProducerId, kafka.InvalidProducerEpoch]


class Script:
    """A way whose answers are given: an offset, an error class of the broker, or an error that is raised."""

    topic = "t"
    trouble = ""

    def __init__(self, *answers, identities=(), looks=()):
        self.sent = []
        self.identities = 0
        self._answers = list(answers)
        self._given = list(identities)
        self._looks = list(looks)
        self._one_more = asyncio.Event()

    async def send(self, partition, batch):
        self.sent.append(([record.content.value.decode() for record in batch.records], bytes(batch._data)))
        self._one_more.set()
        await asyncio.sleep(0)
        answer = self._answers.pop(0) if self._answers else len(self.sent)
        if isinstance(answer, Exception):
            raise answer
        return (OK, answer) if isinstance(answer, int) else (answer.errno, -1)

    async def identify(self):
        self.identities += 1
        if self._given and (refusal := self._given.pop(0)) is not None:
            raise refusal
        return Identity(self.identities, 0)

    async def look_again(self):
        await asyncio.sleep(0)
        if self._looks and (refusal := self._looks.pop(0)) is not None:
            raise refusal

    async def reached(self, tries):
        while len(self.sent) < tries:
            self._one_more.clear()
            await self._one_more.wait()

    @property
    def values(self):
        return [values for values, _ in self.sent]


def record(value="a"):
    return Record(Content(None, [], value.encode()), b"", asyncio.get_running_loop().create_future())


async def outcome(lane, *values):
    """What each of some records ends with, all put at once."""
    records = [record(value) for value in values]
    for one in records:
        lane.put(one)
    found = await asyncio.gather(*(one.answer for one in records), return_exceptions=True)
    return found[0] if len(found) == 1 else found


def run(story):
    asyncio.run(asyncio.wait_for(story(), 5))


def test_kaf_018_records_go_together_while_one_is_under_way_and_in_their_order():
    async def story():
        script = Script(10, 11)
        lane = Lane(script, 3, SIZE)
        first = record("a")
        lane.put(first)
        await script.reached(1)
        assert await outcome(lane, "b", "c", "d") == [Stored(3, 11), Stored(3, 12), Stored(3, 13)]
        assert await first.answer == Stored(3, 10)
        assert script.values == [["a"], ["b", "c", "d"]]

    run(story)


def test_the_offset_of_a_duplicate_whose_place_is_forgotten_is_not_known():
    async def story():
        assert await outcome(Lane(Script(kafka.DuplicateSequenceNumber), 0, SIZE), "a") == Stored(0, None)

    run(story)


@pytest.mark.parametrize(
    "failure", [CONNECTION, kafka.RequestTimedOutError(), ConnectionResetError(), asyncio.TimeoutError()]
)
def test_kaf_017_what_may_be_stored_is_sent_again_as_it_was(failure):
    async def story():
        script = Script(failure, kafka.NotLeaderForPartitionError, kafka.UnknownTopicOrPartitionError, 7)
        lane = Lane(script, 0, SIZE)
        one, other = record("a"), record("b")
        lane.put(one)
        await script.reached(1)
        lane.put(other)
        assert await one.answer == Stored(0, 7)
        await other.answer
        assert script.values == [["a"]] * 4 + [["b"]]
        assert len({data for _, data in script.sent[:4]}) == 1
        assert script.identities == 1

    run(story)


@pytest.mark.parametrize(
    "failure", [NOT_READY, kafka.NotEnoughReplicasError, kafka.UnknownTopicOrPartitionError]
)
def test_what_is_surely_not_stored_is_sent_again_with_what_came_meanwhile(failure):
    async def story():
        script = Script(failure, 7)
        lane = Lane(script, 0, SIZE)
        one, gone, other = record("a"), record("x"), record("b")
        lane.put(one)
        lane.put(gone)
        await script.reached(1)
        gone.answer.cancel()
        lane.put(other)
        assert await asyncio.gather(one.answer, other.answer) == [Stored(0, 7), Stored(0, 8)]
        assert script.values == [["a", "x"], ["a", "b"]]

    run(story)


@pytest.mark.parametrize("answer", OUT_OF_STEP)
def test_a_broker_that_has_other_numbers_gets_new_ones_and_nothing_is_lost(answer):
    async def story():
        script = Script(1, answer, 2)
        lane = Lane(script, 0, SIZE)
        assert await outcome(lane, "a") == Stored(0, 1)
        assert await outcome(lane, "b") == Stored(0, 2)
        assert await outcome(lane, "c") == Stored(0, 4)
        assert script.identities == 2

    run(story)


@pytest.mark.parametrize(
    "answer", [*OUT_OF_STEP, kafka.MessageSizeTooLargeError, kafka.TopicAuthorizationFailedError]
)
def test_kaf_017_and_kaf_019_refused_after_a_try_that_may_be_stored_is_indeterminate_and_stops_nobody(
    answer,
):
    async def story():
        script = Script(CONNECTION, answer)
        lane = Lane(script, 0, SIZE)
        with pytest.raises(Indeterminate, match=f"publish: {answer.__name__.removesuffix('Error')}"):
            raise await outcome(lane, "a")
        assert await outcome(lane, "b") == Stored(0, 3)
        assert script.identities == 2, "the numbers of the first one may be used"

    run(story)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (kafka.MessageSizeTooLargeError, "too-large"),
        (kafka.RecordListTooLargeError, "too-large"),
        (kafka.TopicAuthorizationFailedError, "forbidden"),
        (kafka.ClusterAuthorizationFailedError, "forbidden"),
        (kafka.InvalidTopicError, "invalid"),
        (kafka.PolicyViolationError, "invalid"),
    ],
)
def test_kaf_019_a_refusal_is_certain_and_the_next_one_has_the_same_numbers(answer, kind):
    async def story():
        script = Script(answer, 5)
        lane = Lane(script, 0, SIZE)
        refused = await outcome(lane, "a")
        assert (type(refused), refused.kind) == (Rejected, kind)
        assert await outcome(lane, "b") == Stored(0, 5)
        assert script.identities == 1

    run(story)


@pytest.mark.parametrize(
    "answer", [kafka.UnknownError, kafka.CorruptRecordException, kafka.KafkaStorageError]
)
def test_kaf_019_an_answer_that_nobody_knows_is_tried_again_until_nobody_waits(answer):
    async def story():
        script = Script(*[answer] * 3)
        lane = Lane(script, 0, SIZE)
        one = record("a")
        lane.put(one)
        await script.reached(3)
        one.answer.cancel()
        assert isinstance(await outcome(lane, "b"), Stored)
        assert script.identities == 2

    run(story)


def test_a_batch_that_is_too_large_is_cut_until_it_fits():
    async def story():
        script = Script(*[kafka.MessageSizeTooLargeError] * 3)
        found = await outcome(Lane(script, 0, SIZE), *("x" * 1000 for _ in range(8)))
        assert all(isinstance(one, Stored) for one in found)
        assert [len(values) for values in script.values[:4]] == [8, 4, 2, 1]

    run(story)


@pytest.mark.parametrize("uncertain", [False, True])
def test_kaf_019_the_end_of_the_topic_is_told_to_all_who_wait_as_it_is(uncertain):
    async def story():
        failure = CONNECTION if uncertain else kafka.UnknownTopicOrPartitionError
        script = Script(failure, looks=[Rejected("no-topic", "gone")])
        lane = Lane(script, 0, SIZE)
        one = record("a")
        lane.put(one)
        await script.reached(1)
        behind = await outcome(lane, "b")
        assert (behind.kind, behind.detail) == ("no-topic", "gone")
        with pytest.raises(Indeterminate if uncertain else Rejected):
            await one.answer

    run(story)


def test_without_a_number_for_its_producer_nothing_is_sent():
    async def story():
        script = Script(identities=[Rejected("forbidden", "no"), Indeterminate("late")])
        lane = Lane(script, 0, SIZE)
        first, second = await outcome(lane, "a", "b")
        assert first.kind == second.kind == "forbidden"
        assert first is not second, "each caller has an error of its own"
        assert await outcome(lane, "c") == Stored(0, 1), "an unknown outcome of the question is no outcome"
        assert script.values == [["c"]]

    run(story)


def test_numbers_begin_again_after_the_last_one():
    last = 2**31 - 1
    assert Identity(1, 0, last - 1).after(1) == Identity(1, 0, last)
    assert Identity(1, 0, last).after(1) == Identity(1, 0, 0)
    assert Identity(1, 0, last - 1).after(5) == Identity(1, 0, 3)
