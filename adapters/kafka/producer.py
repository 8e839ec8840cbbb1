"""What one connection publishes: in the order of the calls, each record once, with every outcome known.

It is an idempotent producer on aiokafka's client, requests and records. aiokafka's own producer waits for
ever for a broker that is gone, also when it is stopped; it lets a call overtake those that wait for room in a
full batch; after one refused batch it fails every later one of that partition; and it writes what a caller
gave up on into a topic that was made again since.
"""

from __future__ import annotations

import asyncio
from typing import Final

import aiokafka.errors as kafka
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.transaction import InitProducerIdRequest

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.kafka import closing, questions
from eventproof.adapters.kafka.batch import Batch, Identity, Record, Stored
from eventproof.adapters.kafka.content import Content
from eventproof.adapters.kafka.errors import CLOSED, told
from eventproof.adapters.kafka.lane import ACT, Lane, fail
from eventproof.adapters.kafka.link import RETRY, Link
from eventproof.adapters.kafka.partitioning import partition

BATCH: Final = 256 * 1024  # bytes; larger ones are no faster, and make the first of many calls wait
# A connection on which nothing is answered is given up then. What is sent again is stored once all the same.
REQUEST_TIMEOUT: Final = 5_000  # ms
_NO_TIMEOUT: Final = 2**31 - 1


class Producer:
    """largest: bytes of a batch that the broker takes."""

    def __init__(self, link: Link, largest: int) -> None:
        self.link = link
        self.size = min(BATCH, largest)
        self._topics: dict[str, _Topic] = {}
        self._answers: set[asyncio.Future[Stored]] = set()
        self._closed = False
        self._client: AIOKafkaClient | None = None
        self._opening = asyncio.Lock()

    async def store(self, topic: str, spread: bytes, content: Content) -> Stored:
        """Store one record in a topic of Kafka. Raises Rejected, Indeterminate.

        spread: what decides the partition. Its place in the order is taken before this first suspends.
        """
        if self._closed:
            raise Rejected("closed", CLOSED)
        way = self._topics.get(topic) or self._topics.setdefault(topic, _Topic(self, topic))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Stored] = loop.create_future()
        timer = loop.call_later(self.link.deadline, way.expire, answer)
        self._answers.add(answer)
        way.put(Record(content, spread, answer))
        try:
            return await answer
        finally:
            timer.cancel()
            self._answers.discard(answer)

    async def client(self) -> AIOKafkaClient:
        """The connection for records, opened with the first of them. Raises as aiokafka does."""
        async with self._opening:
            if self._client is None:
                client = AIOKafkaClient(**self.link.arguments, request_timeout_ms=REQUEST_TIMEOUT)
                try:
                    await client.bootstrap()
                except kafka.KafkaConnectionError as error:
                    raise kafka.NodeNotReadyError(told(error)) from error  # so nothing was sent
                self._client = client
            return self._client

    async def close(self) -> None:
        """Wait for what is under way, at most until its deadline, and end."""
        self._closed = True
        try:
            if self._answers:
                await asyncio.wait(self._answers, timeout=self.link.deadline)
        finally:
            await self._end()

    async def _end(self) -> None:
        tasks = [task for way in self._topics.values() for task in way.end()]
        if tasks:
            await asyncio.wait(tasks)
        if self._client is not None:
            await closing.close(self._client)


class _Topic:
    """One topic: who leads its partitions, and a lane to each."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self.topic = topic
        self.trouble = ""
        self._producer = producer
        self._link = producer.link
        self._leaders: dict[int, int] = {}
        self._early: list[Record] = []  # those who came before it was known how many partitions there are
        self._lanes: dict[int, Lane] = {}
        self._looking: asyncio.Task[None] | None = None

    def put(self, record: Record) -> None:
        if self._leaders and not self._early:
            self._distribute(record)
            return
        self._early.append(record)
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._begin())

    def expire(self, answer: asyncio.Future[Stored]) -> None:
        """The deadline of a call is over."""
        if not answer.done():
            why = f" ({self.trouble})" if self.trouble else ""
            answer.set_exception(
                Indeterminate(f"{ACT}: no confirmation within {self._link.deadline:g} s{why}")
            )

    def end(self) -> list[asyncio.Task[None]]:
        """Stop, and return what has to end yet."""
        never_sent = [record for lane in self._lanes.values() for record in lane.end()]
        fail([*never_sent, *self._early], Rejected("closed", CLOSED))
        tasks = [self._looking, *(lane.task for lane in self._lanes.values())]
        if self._looking is not None:
            self._looking.cancel()
        return [task for task in tasks if task is not None]

    def _distribute(self, record: Record) -> None:
        number = partition(record.spread, len(self._leaders))
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes[number] = Lane(self, number, self._producer.size)
        lane.put(record)

    async def _begin(self) -> None:
        """Find the topic for those who came early, in their order."""
        try:
            while not self._leaders and self._awaited():
                await self._find()
            waiting, self._early = self._early, []
            for record in waiting:
                self._distribute(record)
        finally:
            self._looking = None

    def _awaited(self) -> bool:
        self._early = [record for record in self._early if not record.answer.done()]
        return bool(self._early)

    async def _find(self) -> None:
        try:
            self._leaders = await questions.leaders(self._link, self.topic)
        except Indeterminate as unknown:
            self.trouble = str(unknown)
        except Rejected as refused:
            early, self._early = self._early, []
            fail(early, refused)

    async def look_again(self) -> None:
        """Wait a little, and find out who leads now. Raises Rejected (`no-topic`), and then the next call
        looks for the topic anew."""
        await asyncio.sleep(RETRY)
        try:
            found = await questions.leaders(self._link, self.topic)
        except Indeterminate as unknown:
            self.trouble = str(unknown)
            return
        except Rejected:
            self._leaders = {}
            raise
        before, self._leaders = self._leaders, found
        if len(found) != len(before):
            raise Rejected("no-topic", f"topic {self.topic} was made again, with other partitions")

    async def identify(self) -> Identity:
        async def ask() -> Identity:
            answer = await self._link.ask(InitProducerIdRequest(None, _NO_TIMEOUT))
            questions.check(answer.error_code)
            return Identity(answer.producer_id, answer.producer_epoch)

        return await self._link.answered("asking for a producer's number", ask)

    async def send(self, number: int, batch: Batch) -> tuple[int, int]:
        node = self._leaders.get(number)
        if node is None:
            raise kafka.UnknownTopicOrPartitionError
        client = await self._producer.client()
        answer = await client.send(node, batch.request(self.topic, number, REQUEST_TIMEOUT))
        (_, ((_, code, offset, *_),)) = answer.topics[0]
        return code, offset
