"""Asking the server for messages, one lane (partition) at a time, into one inbox.

A pull waits at the server until its lane has a message. To fetch no more than is soon handed out, only a
few pulls are *fresh* at once; one that is unanswered for a moment is *quiet* (its lane is empty, or another
member has its message) and lets the next lane be asked. So an idle session ends up with a pull waiting in
every lane, and a busy one with a few messages at hand.

A session that works on many events at once takes whatever comes, from each lane: a pull of it *stands* for
several messages, one after the other, which saves asking for each.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from eventproof.adapters.nats.api import NANOSECONDS
from eventproof.adapters.nats.group import Group
from eventproof.adapters.nats.link import Link, translated

EXPIRES: Final = 10.0  # seconds that a pull waits; a reconnect renews it at once
QUIET: Final = 0.02
RETRY: Final = 0.25
STANDING: Final = 16  # messages; so many may still come to a session that has stopped taking them


class State(enum.Enum):
    WAITING = enum.auto()  # in the queue, to be asked
    ASKED = enum.auto()
    BUSY = enum.auto()  # a message of it is here, or was and stopped the lane


def _body(batch: int) -> bytes:
    return msgspec.json.encode({"batch": batch, "expires": round(EXPIRES * NANOSECONDS)})


_BODIES: Final = {batch: _body(batch) for batch in (1, STANDING)}


class Lane:
    """One partition's consumer.

    turn: number of its last pull, by which a late answer is recognised. left: messages it still waits for.
    """

    __slots__ = ("asked", "left", "partition", "state", "subject", "turn")

    def __init__(self, partition: int, subject: str) -> None:
        self.partition = partition
        self.subject = subject
        self.state = State.WAITING
        self.turn = 0
        self.left = 0
        self.asked = 0.0


class Puller:
    """The pulls of one session. `wake` is called when asking may go on."""

    def __init__(self, link: Link, group: Group, wake: Callable[[], None]) -> None:
        self.inbox = link.client.new_inbox()
        self._link = link
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        start = f"$JS.API.CONSUMER.MSG.NEXT.{group.topic.stream}"
        self._lanes = [Lane(p, f"{start}.{group.durable(p)}") for p in range(group.topic.partitions)]
        self._queue = deque(self._lanes)
        self._fresh: set[Lane] = set()
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._after(EXPIRES, self._renew_overdue)

    async def pump(self, room: int, at_once: int) -> None:
        """Ask the lanes that wait longest, as long as fewer than `room` pulls are fresh.

        at_once: events that the session works on side by side. Who is between two of them is not counted, so
        half as many as there are lanes are taken for enough to serve them all.
        """
        while self._queue and len(self._fresh) < room and self._link.connected:
            lane = self._queue.popleft()
            if lane.state is State.WAITING:
                await self._ask(lane, STANDING if 2 * at_once >= len(self._lanes) else 1)

    async def _ask(self, lane: Lane, batch: int) -> None:
        lane.state, lane.turn, lane.asked = State.ASKED, lane.turn + 1, self._loop.time()
        lane.left = batch
        self._fresh.add(lane)
        self._after(QUIET, self._quieten)
        with translated("asking for a message"):
            await self._link.client.publish(
                lane.subject, _BODIES[batch], reply=f"{self.inbox}.{lane.partition}-{lane.turn}"
            )

    def arrived(self, partition: int) -> bool:
        """A message of the lane is here. True if there was one already."""
        lane = self._lanes[partition]
        self._fresh.discard(lane)
        lane.left -= 1
        before, lane.state = lane.state, State.BUSY
        return before is State.BUSY

    def release(self, partition: int) -> None:
        """The lane's message is done with, or will be before the server serves the next pull."""
        lane = self._lanes[partition]
        if lane.state is State.BUSY and lane.left > 0:
            lane.state = State.ASKED
        elif lane.state is State.BUSY:
            self._enqueue(lane)

    def asks(self, partition: int) -> bool:
        """Whether a pull of the lane waits at the server."""
        return self._lanes[partition].left > 0

    def answered(self, subject: str, headers: Mapping[str, str]) -> bool:
        """The server ended a pull without a message. False if its consumer may be gone."""
        partition, _, turn = subject.rpartition(".")[2].partition("-")
        lane = self._lanes[int(partition)]
        if lane.turn != int(turn):
            return True
        lane.left = 0
        if lane.state is State.ASKED:
            self._fresh.discard(lane)
            self._enqueue(lane)
        status = headers.get("Status")
        if status in {"404", "408"}:
            self._wake()
        else:  # a leader steps down, the server shuts down or starts: not at once again
            self._after(RETRY, self._wake)
        return status != "503" and "Deleted" not in headers.get("Description", "")

    def uses(self, subject: str) -> bool:
        """Whether it is one that this asks at or listens to; in lower case."""
        listening = f"{self.inbox}.*".lower()
        return subject == listening or any(lane.subject.lower() == subject for lane in self._lanes)

    def reconnected(self) -> None:
        """Whatever was asked is forgotten."""
        self._fresh.clear()
        for lane in self._lanes:
            lane.left = 0
        self._renew(-1.0)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._queue.clear()

    def _enqueue(self, lane: Lane) -> None:
        lane.state = State.WAITING
        self._queue.append(lane)

    def _quieten(self) -> None:
        limit = self._loop.time() - QUIET
        self._fresh = {lane for lane in self._fresh if lane.asked > limit}
        if self._fresh:
            self._after(QUIET, self._quieten)
        self._wake()

    def _renew_overdue(self) -> None:
        """A cluster may lose pulls with the server that kept them."""
        self._renew(EXPIRES + 1)
        self._after(EXPIRES, self._renew_overdue)

    def _renew(self, age: float) -> None:
        limit = self._loop.time() - age
        for lane in self._lanes:
            if lane.state is State.ASKED and lane.asked < limit:
                self._enqueue(lane)
        self._wake()

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` once, unless it is due already."""
        if act not in self._timers:
            self._timers[act] = self._loop.call_later(seconds, self._due, act)

    def _due(self, act: Callable[[], None]) -> None:
        del self._timers[act]
        act()
