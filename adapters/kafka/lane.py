"""The way to one partition: records are stored in the order in which they were put, each once.

One request is under way at a time; what gathers meanwhile goes with the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from copy import copy
from typing import Final, Protocol

import aiokafka.errors as kafka

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.kafka.batch import Batch, Identity, Record, fill
from eventproof.adapters.kafka.errors import FOREIGN, REFUSALS, told, translate

ACT: Final = "publish"
# With these answers the broker has stored nothing; the same batch can become another one.
NOTHING_STORED: Final = (
    kafka.UnknownTopicOrPartitionError,
    kafka.NotEnoughReplicasError,
    kafka.NodeNotReadyError,
    *REFUSALS,
)
# The broker has forgotten us, or has other numbers than we have.
OUT_OF_STEP: Final = (kafka.OutOfOrderSequenceNumber, kafka.UnknownProducerId, kafka.InvalidProducerEpoch)
TOO_LARGE: Final = (kafka.MessageSizeTooLargeError, kafka.RecordListTooLargeError)


class Way(Protocol):
    """What a lane needs of its topic. trouble: what failed last, for those whose deadline ends."""

    topic: str
    trouble: str

    async def send(self, partition: int, batch: Batch) -> tuple[int, int]:
        """One try: the broker's error code and the first offset. Raises as aiokafka does."""
        ...

    async def identify(self) -> Identity:
        """A new identity. Raises Rejected, Indeterminate."""
        ...

    async def look_again(self) -> None:
        """Wait a little, and find out who leads now. Raises Rejected (`no-topic`)."""
        ...


class Lane:
    """size: bytes of a batch."""

    def __init__(self, way: Way, partition: int, size: int) -> None:
        self.waiting: deque[Record] = deque()
        self._way = way
        self._partition = partition
        self._size = size
        self._identity: Identity | None = None
        self._batch: Batch | None = None
        self._task: asyncio.Task[None] | None = None

    def put(self, record: Record) -> None:
        self.waiting.append(record)
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    def end(self) -> list[Record]:
        """Stop; what is under way becomes indeterminate. Returns what was never sent."""
        if self._task is not None:
            self._task.cancel()
        if self._batch is not None:
            fail(self._batch.records, Indeterminate(f"{ACT}: the connection was closed meanwhile"))
        left, self.waiting = list(self.waiting), deque()
        return left

    @property
    def task(self) -> asyncio.Task[None] | None:
        return self._task

    async def _run(self) -> None:
        try:
            while self.waiting:
                await self._next()
        finally:
            self._task = None

    async def _next(self) -> None:
        """Send one batch, until it is settled or nobody waits for it."""
        if self._identity is None:
            self._identity = await self._introduce()
            if self._identity is None:
                return
        self._batch = batch = fill(self.waiting, self._identity, self._size)
        while batch.awaited:
            if await self._try(batch):
                break
        else:
            self._give_up(batch)
        self._batch = None

    async def _introduce(self) -> Identity | None:
        try:
            return await self._way.identify()
        except Rejected as refused:
            self._refuse_all(refused)
        except Indeterminate as unknown:
            self._way.trouble = str(unknown)
            self._drop()
        return None

    async def _try(self, batch: Batch) -> bool:
        """Whether the batch is settled, or was taken apart."""
        try:
            code, offset = await self._way.send(self._partition, batch)
        except FOREIGN as error:
            return await self._failed(batch, error)
        if code in (0, kafka.DuplicateSequenceNumber.errno):
            self._confirm(batch, offset)
            return True
        return await self._failed(batch, kafka.for_code(code)())

    def _confirm(self, batch: Batch, offset: int) -> None:
        assert self._identity is not None
        self._identity = self._identity.after(len(batch.records))
        self._way.trouble = ""
        batch.confirm(self._partition, offset)

    async def _failed(self, batch: Batch, error: Exception) -> bool:
        self._way.trouble = told(error)
        batch.uncertain |= not isinstance(error, (*NOTHING_STORED, *OUT_OF_STEP))
        if batch.uncertain:
            return await self._insist(batch, error)
        if isinstance(error, OUT_OF_STEP):
            self._identity = None
        elif isinstance(error, TOO_LARGE) and len(batch.records) > 1:
            self._size = max(1, self._size // 2)
        elif type(error) in REFUSALS:
            fail(batch.records, translate(error, ACT))
            return True
        elif not await self._look(batch):
            return True
        self.waiting.extendleft(reversed(batch.records))
        return True

    async def _insist(self, batch: Batch, error: Exception) -> bool:
        """It may be stored: only the same numbers tell."""
        refused = isinstance(error, OUT_OF_STEP) or type(error) in REFUSALS
        if not refused and await self._look(batch):
            return False
        self._give_up(batch)
        return True

    async def _look(self, batch: Batch) -> bool:
        """Look for the topic; False if there is none, and all who wait know."""
        try:
            await self._way.look_again()
        except Rejected as refused:
            if not batch.uncertain:
                fail(batch.records, refused)
            self._refuse_all(refused)
            return False
        return True

    def _give_up(self, batch: Batch) -> None:
        """Whether its numbers are used is not known."""
        if batch.records:
            self._identity = None
        fail(batch.records, Indeterminate(f"{ACT}: {self._way.trouble}"))

    def _refuse_all(self, refused: Rejected) -> None:
        fail(self.waiting, refused)
        self.waiting.clear()

    def _drop(self) -> None:
        """Forget those that nobody waits for."""
        self.waiting = deque(record for record in self.waiting if not record.answer.done())


def fail(records: Iterable[Record], error: Exception) -> None:
    """Tell those who still wait; each gets an error of its own."""
    for record in records:
        if not record.answer.done():
            record.answer.set_exception(copy(error))
