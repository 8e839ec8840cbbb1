"""What comes in for one session: messages are decoded and wait here until they are handed out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from eventproof.adapters.errors import EventproofError, Indeterminate, Rejected
from eventproof.adapters.nats import api, disposal, lease, returns
from eventproof.adapters.nats.content import decode
from eventproof.adapters.nats.group import Group
from eventproof.adapters.nats.link import ConnectionLost, Link, translated
from eventproof.adapters.nats.message import Message, parse
from eventproof.adapters.nats.pull import Puller
from eventproof.adapters.nats.settle import PROGRESS, Prefetched
from eventproof.adapters.nats.wakefulness import Wakefulness
from eventproof.schemas.deadletter import Reason
from eventproof.schemas.errors import InvalidEvent

log = logging.getLogger("eventproof.adapters.nats")
REVIEW: Final = 0.25  # seconds after which a message that nobody took may go to another member


class Intake:
    """The prefetched messages of one session.

    active: `loop.time()` at which the application last took or settled a message.
    settling: whether it settles one now.
    delivered: called with each message that comes in.
    changed: called when there may be something to hand out or to ask for.
    gone: called with the reason when the group or its topic was deleted, or may not be read.
    """

    def __init__(
        self,
        link: Link,
        group: Group,
        *,
        delivered: Callable[[Message], None],
        changed: Callable[[], None],
        gone: Callable[[str], None],
        settling: Callable[[], bool],
    ) -> None:
        self.ready: deque[Prefetched] = deque()
        self.active = 0.0
        self.puller = Puller(link, group, changed)
        self._link = link
        self._group = group
        self._delivered = delivered
        self._changed = changed
        self._gone = gone
        self._settling = settling
        self._loop = asyncio.get_running_loop()
        self._inbox: Subscription | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._review: asyncio.TimerHandle | None = None
        self._wakefulness = Wakefulness(self._catch_up)
        self._unwanted: set[int] = set()  # partitions of which a message was given back since one was taken
        self._open = True
        self._left = False

    async def open(self) -> None:
        """Begin to listen. Raises Indeterminate."""
        self._link.on_reconnect.update((self.puller.reconnected, self._wakefulness.reconnected))
        self._link.on_forbidden.add(self._forbidden)
        with translated("subscribing"):
            self._inbox = await self._link.client.subscribe(f"{self.puller.inbox}.*", cb=self._receive)

    async def close(self) -> None:
        """Stop; what came until now is in `ready`."""
        self._open = False
        self.puller.close()
        self._wakefulness.close()
        self._link.on_reconnect.difference_update((self.puller.reconnected, self._wakefulness.reconnected))
        self._link.on_forbidden.discard(self._forbidden)
        if self._review is not None:
            self._review.cancel()
        try:
            await self._stop_listening()
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            self._left = True
            for task in self._tasks:
                task.cancel()

    def spawn(self, partition: int, act: Coroutine[Any, Any, bool | None]) -> None:
        """Carry out `act` beside; then ask its lane again, unless it says False."""
        task = asyncio.ensure_future(self._beside(partition, act))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def give_up(self, prefetched: Prefetched, reason: Reason) -> None:
        """Dead-letter an event that is used up or expired, unless another member may have it by now."""
        message, attempts = prefetched.message, prefetched.attempt - 1
        if self._over(message):
            await disposal.forget(self._link, self._group, message, prefetched.attempt)
            return
        await disposal.give_up(
            self._link, self._group, message, prefetched.event, reason=reason, attempts=attempts
        )

    async def renew(self, prefetched: Prefetched) -> bool:
        """Start the server's lease again, before ours begins. False if it was over already."""
        if self._over(prefetched.message):
            self.forget(prefetched.message, prefetched.attempt)
            return False
        start = self._loop.time()
        await lease.send(self._link, prefetched.message, PROGRESS)
        prefetched.message.leased = start
        return True

    def forget(self, message: Message, attempt: int) -> None:
        """Nobody here will be handed the message: another member may have it by now."""
        self.spawn(message.partition, disposal.forget(self._link, self._group, message, attempt))

    def drop(self) -> None:
        """Forget what waits here: nobody keeps it for us any more."""
        for prefetched in self.ready:
            self.puller.release(prefetched.message.partition)
        self.ready.clear()

    def taken(self) -> None:
        """The application takes a message: whoever takes one takes more."""
        self.active = self._loop.time()
        self._unwanted.clear()

    def age(self, prefetched: Prefetched) -> float:
        """Seconds of the server's lease that are gone."""
        return lease.age(self._link, prefetched.message)

    def _over(self, message: Message) -> bool:
        """Whether the server's lease may be over."""
        return lease.over(self._link, self._group, message)

    def _forbidden(self, subject: str, words: str) -> None:
        """Without an answer, so that waiting for one would never end."""
        if self.puller.uses(subject):
            self._gone(words)

    async def _stop_listening(self) -> None:
        """A pull that still waits would take a message to nobody. Without a listener the server drops it;
        what it sent before it heard of that arrives before its answer to a request made then.

        The client's own `drain` pings before it unsubscribes, and messages that come in between are lost.
        """
        client = self._link.client
        if self._inbox is None or client.is_closed:
            return
        with translated("leaving"):
            if client.is_connected:
                await client._send_unsubscribe(self._inbox._id)  # noqa: SLF001 - nothing public does only that
                await self._read_all()
            await self._inbox.unsubscribe()

    async def _catch_up(self) -> None:
        while self._inbox is not None:
            await self._link.ready()
            try:
                await self._read_all()
            except Indeterminate as unknown:
                log.info("group %s: %s", self._group.name, unknown)
            else:
                return

    async def _read_all(self) -> None:
        """Take in what the server sent before its answer to a request made now. Raises Indeterminate."""
        await self._hear_from_server()
        while self._inbox is not None and self._inbox.pending_msgs:  # noqa: ASYNC110 - each turn takes one
            await asyncio.sleep(0)

    async def _hear_from_server(self) -> None:
        try:
            await api.consumer_info(self._link, self._group.topic.stream, self._group.durable(0))
        except Rejected as refused:  # is an answer
            log.info("group %s: %s", self._group.name, refused)

    async def _receive(self, raw: Msg) -> None:
        if not raw.reply:
            if not self.puller.answered(raw.subject, raw.headers or {}):
                self.spawn(0, self._check_group())
            return
        message = parse(raw, self._wakefulness.since, self._link.server)
        self._delivered(message)
        if self.puller.arrived(message.partition):
            self._discard(message.partition)
        if message.delivered == 1:
            self._admit(message, 1)
        else:
            self.spawn(message.partition, self._admit_again(message))

    async def _admit_again(self, message: Message) -> bool:
        """Which of the deliveries were attempts is known to the server."""
        while True:
            await self._link.ready()
            try:
                returned = await returns.read(self._link, self._group, message)
            except ConnectionLost:
                continue
            self._admit(message, message.delivered - returned)
            return False

    def _admit(self, message: Message, attempt: int) -> None:
        if self._over(message):
            self.forget(message, attempt)
            return
        try:
            event = decode(message.headers, message.data)
        except InvalidEvent as problem:
            self.spawn(message.partition, disposal.set_aside(self._link, self._group, message, str(problem)))
            return
        prefetched = Prefetched(message, event, attempt)
        limit = self._group.policy.max_attempts
        if limit is not None and attempt > limit:
            self.spawn(message.partition, self.give_up(prefetched, "attempts"))
        else:
            self._offer(prefetched)

    def _offer(self, prefetched: Prefetched) -> None:
        unwanted = prefetched.message.partition in self._unwanted and self._idle()
        if unwanted or self._left:  # left: the connection broke while this member left
            self.spawn(prefetched.message.partition, disposal.give_back(self._link, self._group, prefetched))
            return
        self.ready.append(prefetched)
        self._changed()
        if self._review is None and self._open:
            self._review = self._loop.call_later(REVIEW, self._review_ready)

    def _review_ready(self) -> None:
        self._review = None
        idle = self._idle()
        for prefetched in [waits for waits in self.ready if idle and self.age(waits) >= REVIEW / 2]:
            self.ready.remove(prefetched)
            self.spawn(prefetched.message.partition, self._keep_or_return(prefetched))
        if self.ready:
            self._review = self._loop.call_later(REVIEW, self._review_ready)

    def _idle(self) -> bool:
        """Whether the application does nothing with the session: it is slow, and not just this loop or the
        server behind."""
        return not self._settling() and self._loop.time() - self.active >= REVIEW / 2

    async def _keep_or_return(self, prefetched: Prefetched) -> bool:
        """A message that nobody here took for a while belongs to whoever waits for it elsewhere."""
        if await self._wanted_elsewhere(prefetched.message):
            self._unwanted.add(prefetched.message.partition)
            await disposal.give_back(self._link, self._group, prefetched)
            return True
        if self.age(prefetched) < self._group.ack_wait / 2 or await self.renew(prefetched):
            self._offer(prefetched)
        return False

    async def _wanted_elsewhere(self, message: Message) -> bool:
        ours = self.puller.asks(message.partition)
        try:
            return await disposal.waiting(self._link, self._group, message) > ours
        except Indeterminate:
            return False

    def _discard(self, partition: int) -> None:
        """The server's lease ended, and it delivered again what waits here."""
        for prefetched in [ready for ready in self.ready if ready.message.partition == partition]:
            self.ready.remove(prefetched)

    async def _check_group(self) -> bool:
        """A pull found nobody: a server that starts, or a group or topic that was deleted."""
        try:
            await api.consumer_info(self._link, self._group.topic.stream, self._group.durable(0))
        except Rejected as refused:
            self._gone(f"group {self._group.name}: {refused}")
        except Indeterminate as unknown:
            log.info("group %s: %s", self._group.name, unknown)
        return False

    async def _beside(self, partition: int, act: Coroutine[Any, Any, bool | None]) -> None:
        try:
            free = await act
        except EventproofError as failed:
            log.warning("group %s, partition %d: %s", self._group.name, partition, failed)
            free = True  # the message comes back when its lease ends
        if free is not False:
            self.puller.release(partition)
            self._changed()
