"""What comes in for one session: the records of its partitions, decoded and told apart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiokafka.errors as kafka
import msgspec
from aiokafka import TopicPartition

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.kafka import closing, questions
from eventproof.adapters.kafka.commits import Account
from eventproof.adapters.kafka.content import decode
from eventproof.adapters.kafka.errors import FOREIGN, told
from eventproof.adapters.kafka.group import Group
from eventproof.adapters.kafka.ledger import Ledger
from eventproof.adapters.kafka.link import Link
from eventproof.schemas.errors import InvalidEvent

log = logging.getLogger("eventproof.adapters.kafka")
POLL: Final = 0.2  # seconds
RETRY: Final = 0.05
ENOUGH: Final = 512 * 1024  # bytes of events that wait in a partition
MOST: Final = 8 * 1024 * 1024  # where all of them wait for their keys
CHUNK: Final = 50  # records that are read before others have their turn


class Undecodable(msgspec.Struct, frozen=True):
    """A record that is no event, and why."""

    raw: bytes
    problem: str


class Feed:
    """One partition's records. position: of the next one to read."""

    def __init__(self, account: Account) -> None:
        ledger = account.ledger
        self.account = account
        self.position = min(ledger.offset, ledger.seen.history) if ledger.seen.window else ledger.offset

    @property
    def hungry(self) -> bool:
        ledger = self.account.ledger
        if ledger.queued_bytes < ENOUGH:
            return True
        return ledger.queued_bytes < MOST and not (ledger.ahead or ledger.has_ready)


class Intake:
    """changed: called when there may be more to hand out. gone: called when there is no topic any more, or it
    may not be read."""

    def __init__(
        self, link: Link, group: Group, *, changed: Callable[[], None], gone: Callable[[Rejected], None]
    ) -> None:
        self._full = False
        self._link = link
        self._group = group
        self._topic = group.topic.stored_as
        self._changed = changed
        self._gone = gone
        self._feeds: dict[int, Feed] = {}
        self._consumer = link.consumer(None, fetch_max_wait_ms=round(POLL * 1000))
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Raises as aiokafka does."""
        await self._consumer.start()
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await closing.stop(self._consumer)

    def take(self, accounts: Mapping[int, Account]) -> None:
        """Read these partitions too."""
        for partition, account in accounts.items():
            self._feeds[partition] = Feed(account)
        self._assign()

    def let_go(self, partitions: frozenset[int]) -> None:
        """Read these no longer."""
        for partition in partitions:
            self._feeds.pop(partition, None)
        self._assign()

    def wake_if_full(self) -> None:
        """There is room for more."""
        if self._full:
            self._news.set()

    def _assign(self) -> None:
        places = {TopicPartition(self._topic, number): feed for number, feed in self._feeds.items()}
        if not places:
            self._consumer.pause(*self._consumer.assignment())
            return
        self._consumer.assign(list(places))
        for place, feed in places.items():
            self._consumer.seek(place, feed.position)
        self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            hungry = {TopicPartition(self._topic, p): feed for p, feed in self._feeds.items() if feed.hungry}
            self._full = not hungry
            if not hungry:
                await self._news.wait()
                continue
            try:
                await self._read(hungry)
                if not self._consumer.partitions_for_topic(self._topic):
                    await questions.leaders(self._link, self._topic)
            except Rejected as refused:
                self._gone(refused)
                return
            except Indeterminate as unknown:
                log.info("reading %s: %s", self._topic, unknown)
            except FOREIGN as error:
                log.info("reading %s: %s", self._topic, told(error))
                await asyncio.sleep(RETRY)
            except UnicodeDecodeError as error:  # of a header's name: the client library cannot read past it
                self._gone(Rejected("invalid", f"a record of {self._topic} cannot be read: {told(error)}"))
                return

    async def _read(self, hungry: Mapping[TopicPartition, Feed]) -> None:
        polling = asyncio.ensure_future(self._consumer.getmany(*hungry, timeout_ms=round(POLL * 1000)))
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait((polling, news), return_when=asyncio.FIRST_COMPLETED)
            if not polling.done():
                return
            records = await self._polled(polling)
            ends = {place: await self._consumer.position(place) for place in hungry if self._reads(place)}
        finally:
            polling.cancel()
            news.cancel()
            await asyncio.gather(polling, news, return_exceptions=True)
        for place, found in records.items():
            await self._feed(hungry[place], found)
        for place, end in ends.items():
            feed = hungry[place]
            if self._feeds.get(place.partition) is feed:
                feed.position = max(feed.position, end)
                feed.account.ledger.passed(feed.position)
        if records:
            self._changed()

    async def _polled(self, polling: asyncio.Future[Any]) -> Mapping[TopicPartition, list[Any]]:
        try:
            return dict(polling.result())
        except kafka.OffsetOutOfRangeError as error:
            await self._go_on(error.args[0])
            return {}

    def _reads(self, place: TopicPartition) -> bool:
        return place in self._consumer.assignment()

    async def _feed(self, feed: Feed, records: list[Any]) -> None:
        for number, record in enumerate(records):
            if number % CHUNK == CHUNK - 1:
                self._changed()
                await asyncio.sleep(0)
            if self._feeds.get(feed.account.partition) is not feed:
                return
            if record.offset >= feed.position:
                self._note(feed, record)
                feed.position = record.offset + 1

    def _note(self, feed: Feed, record: Any) -> None:
        """Tell the ledger of a record. Of what is settled already it has to know where there is a window."""
        ledger = feed.account.ledger
        done = ledger.done(record.offset)
        if done and not ledger.seen.window:
            ledger.passed(record.offset + 1)
            return
        try:
            event = decode(record.headers, record.value)
        except InvalidEvent as problem:
            if not done:
                self._set_aside(ledger, record, str(problem))
            return
        if not self._group.policy.wants(event.type):
            ledger.skip(record.offset)
            return
        copy = ledger.seen.read(record.offset, record.timestamp, event)
        if not done:
            size = len(record.value or b"") + len(record.key or b"")
            ledger.admit(record.offset, event.key, event, size, self._loop.time(), copy)
            return
        ledger.passed(record.offset + 1)
        if copy is not None:
            ledger.seen.recall(copy)

    def _set_aside(self, ledger: Ledger, record: Any, problem: str) -> None:
        key = None if record.key is None else record.key.decode(errors="replace")
        if self._group.dead is not None:
            raw = record.value or b""
            ledger.admit(record.offset, key, Undecodable(raw, problem), len(raw), self._loop.time())
            return
        log.error(
            "record %d of partition %d of topic %s is no event (%s); group %s has no dead letter: it stops"
            " there, with what has the same key",
            record.offset,
            record.partition,
            self._group.topic.name,
            problem,
            self._group.name,
        )
        ledger.block(record.offset, key)

    async def _go_on(self, places: Mapping[TopicPartition, int]) -> None:
        """What was to be read next is not there: it was too old, or the topic was made again."""
        starts = await questions.offsets(self._link, self._topic, questions.EARLIEST)
        for place, offset in places.items():
            feed = self._feeds.get(place.partition)
            if feed is None or feed.position != offset:
                continue
            start = starts.get(place.partition, 0)
            if start <= offset:
                raise Rejected("no-topic", f"topic {self._topic} was made again: it ends before {offset}")
            feed.position = start
            feed.account.ledger.passed(start)
        self._assign()
