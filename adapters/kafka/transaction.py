"""Storing a record and the place of a group in one transaction of Kafka, each request with its outcome.

Who initialises a transactional id ends what an earlier holder of it has under way, for good: committed if its
last request had been carried out, aborted if not. Raises as aiokafka does.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiokafka.errors as kafka
import msgspec
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from eventproof.adapters.kafka.content import Content
from eventproof.adapters.kafka.errors import FOREIGN, retriable
from eventproof.adapters.kafka.link import REQUEST_TIMEOUT
from eventproof.adapters.kafka.questions import check

TIMEOUT: Final = 15_000  # ms after which the broker ends a transaction that nobody ends
RETRY: Final = 0.02
_ALL: Final = -1
_MAGIC: Final = 2


class Letter(msgspec.Struct, frozen=True):
    """A record for one partition of a topic of Kafka, which that node leads."""

    topic: str
    partition: int
    leader: int
    content: Content


class Place(msgspec.Struct, frozen=True):
    """What a group commits on one partition."""

    group_id: str
    topic: str
    partition: int
    offset: int
    text: str


class Transactions:
    """The transactions under one transactional id, one after the other."""

    def __init__(self, client: AIOKafkaClient, transactional_id: str) -> None:
        self._client = client
        self._id = transactional_id
        self._producer = (-1, -1)  # number and epoch
        self._sequences: dict[tuple[str, int], int] = {}

    @property
    def ready(self) -> bool:
        return self._producer[0] >= 0

    async def initialise(self) -> None:
        """End what is under way, whosever it is, and begin anew; takes as long as that takes."""
        self._producer = (-1, -1)
        self._sequences.clear()
        while True:
            try:
                answer = await self._ask(InitProducerIdRequest(self._id, TIMEOUT))
                check(answer.error_code)
            except FOREIGN as error:  # noqa: PERF203
                if not retriable(error) and not isinstance(error, kafka.ConcurrentTransactions):
                    raise
                await asyncio.sleep(RETRY)
            else:
                self._producer = (answer.producer_id, answer.producer_epoch)
                return

    async def carry_out(self, letter: Letter, place: Place) -> None:
        """Store both or neither. Whatever is raised, the outcome is not known until `initialise` returned."""
        producer, self._producer = self._producer, (-1, -1)
        await self._begin(producer, letter)
        await self._produce(producer, letter)
        answer = await self._ask(AddOffsetsToTxnRequest(self._id, *producer, place.group_id))
        check(answer.error_code)
        await self._commit_place(producer, place)
        check((await self._ask(EndTxnRequest(self._id, *producer, True))).error_code)
        self._producer = producer

    async def _begin(self, producer: tuple[int, int], letter: Letter) -> None:
        """The end of the transaction before may still be under way at the broker."""
        while True:
            request = AddPartitionsToTxnRequest(self._id, *producer, [(letter.topic, [letter.partition])])
            answer = await self._ask(request)
            code = answer.errors[0][1][0][1]
            if code != kafka.ConcurrentTransactions.errno:
                check(code)
                return
            await asyncio.sleep(RETRY)

    async def _produce(self, producer: tuple[int, int], letter: Letter) -> None:
        at = (letter.topic, letter.partition)
        sequence = self._sequences.get(at, 0)
        data = _batch(letter.content, producer, sequence)
        request = ProduceRequest(
            self._id, _ALL, REQUEST_TIMEOUT, [(letter.topic, [(letter.partition, data)])]
        )
        answer = await self._say(letter.leader, request)
        check(answer.topics[0][1][0][1])
        self._sequences[at] = sequence + 1

    async def _commit_place(self, producer: tuple[int, int], place: Place) -> None:
        node = await self._client.coordinator_lookup(CoordinationType.GROUP, place.group_id)
        offsets = [(place.topic, [(place.partition, place.offset, place.text)])]
        request = TxnOffsetCommitRequest(self._id, place.group_id, *producer, offsets)
        answer = await self._say(node, request)
        check(answer.errors[0][1][0][1])

    async def _ask(self, request: Any) -> Any:
        node = await self._client.coordinator_lookup(CoordinationType.TRANSACTION, self._id)
        return await self._say(node, request)

    async def _say(self, node: int, request: Any) -> Any:
        return await self._client.send(node, request)


def _batch(content: Content, producer: tuple[int, int], sequence: int) -> bytes:
    size = DefaultRecordBatchBuilder.estimate_size_in_bytes(content.key, content.value, content.headers)
    builder = DefaultRecordBatchBuilder(
        _MAGIC, 0, is_transactional=1, producer_id=producer[0], producer_epoch=producer[1],
        base_sequence=sequence, batch_size=size,
    )  # fmt: skip
    builder.append(0, None, content.key, content.value, content.headers)
    return bytes(builder.build())
