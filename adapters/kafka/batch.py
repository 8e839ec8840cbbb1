"""Records on their way to one partition, and the request that carries several of them.

The broker knows a batch by the number of its producer and the sequence number of its first record: sent
again, it is stored once. So a batch whose outcome is not known is sent again as it was, or not at all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

import msgspec
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from eventproof.adapters.kafka.content import Content

_MAGIC: Final = 2  # of the format of records since Kafka 0.11
_NOT_COMPRESSED: Final = 0
_ALL: Final = -1  # replicas that are in sync
_LAST_SEQUENCE: Final = 2**31 - 1


class Stored(msgspec.Struct, frozen=True):
    """Where a record is; offset: None where the broker does not tell any more."""

    partition: int
    offset: int | None


class Record:
    """One call's record. spread: what decides its partition. answer: settled with what the call ends with;
    once it is done, nobody waits for the record."""

    __slots__ = ("answer", "content", "spread")

    def __init__(self, content: Content, spread: bytes, answer: asyncio.Future[Stored]) -> None:
        self.content = content
        self.spread = spread
        self.answer = answer


class Identity(msgspec.Struct, frozen=True):
    """Who the broker takes us for on a partition, and the number that it expects next."""

    producer: int
    epoch: int
    sequence: int = 0

    def after(self, count: int) -> Identity:
        """The identity once so many records are stored; the numbers begin again after the last one."""
        return msgspec.structs.replace(self, sequence=(self.sequence + count) % (_LAST_SEQUENCE + 1))


class Batch:
    """Records in one request. uncertain: whether a try may have stored them though we were not told so."""

    def __init__(self, records: list[Record], data: bytes) -> None:
        self.records = records
        self.uncertain = False
        self._data = data

    @property
    def awaited(self) -> bool:
        return not all(record.answer.done() for record in self.records)

    def request(self, topic: str, partition: int, timeout: int) -> ProduceRequest:
        return ProduceRequest(None, _ALL, timeout, [(topic, [(partition, self._data)])])

    def confirm(self, partition: int, first: int) -> None:
        """first: the offset of the first record, negative where it is not known."""
        for number, record in enumerate(self.records):
            if not record.answer.done():
                record.answer.set_result(Stored(partition, first + number if first >= 0 else None))


def fill(waiting: deque[Record], identity: Identity, size: int) -> Batch:
    """The next batch of at most `size` bytes, or of one record, which is taken from those that wait. Records
    that nobody waits for are dropped."""
    builder = DefaultRecordBatchBuilder(
        _MAGIC,
        _NOT_COMPRESSED,
        is_transactional=0,
        producer_id=identity.producer,
        producer_epoch=identity.epoch,
        base_sequence=identity.sequence,
        batch_size=size,
    )
    taken: list[Record] = []
    while waiting:
        record = waiting[0]
        if not record.answer.done():
            if not _append(builder, len(taken), record.content):
                break
            taken.append(record)
        waiting.popleft()
    return Batch(taken, bytes(builder.build()))


def _append(builder: Any, number: int, content: Content) -> bool:
    found = builder.append(number, None, content.key, content.value, content.headers)
    return found is not None
