"""One session as a member of its group: joins, stays, is given partitions and lets go of them, leaves.

Whoever is asked to let go of a partition hands out nothing of it any more, tells the broker how it stands,
and joins again; only then somebody else is given it. A member that says nothing for a session timeout is
put out by the broker, so it takes itself for the owner no longer than that after a sign of life that was
answered: one that stood still does not hand out what is somebody else's by now.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import aiokafka.errors as kafka

from eventproof.adapters.kafka import assignment
from eventproof.adapters.kafka.assignment import Claim
from eventproof.adapters.kafka.coordinator import Coordinator, Member
from eventproof.adapters.kafka.errors import FOREIGN, retriable, told

log = logging.getLogger("eventproof.adapters.kafka")
RETRY: Final = 0.05
BEATS: Final = 10  # signs of life in one session timeout
FENCED: Final = (kafka.IllegalGenerationError, kafka.UnknownMemberIdError, kafka.RebalanceInProgressError)


class Membership:
    """owned: partitions that the session may begin to hand out from.

    gained, letting_go: called with partitions that are the session's from now on, or until it returns.
    lost: called when all of them belong to somebody else already. failed: called when there is no hope."""

    def __init__(
        self,
        coordinator: Coordinator,
        topic: str,
        *,
        partitions: int,
        session_timeout: float,
        gained: Callable[[frozenset[int]], None],
        letting_go: Callable[[frozenset[int]], Awaitable[None]],
        lost: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.member = Member()
        self.owned: frozenset[int] = frozenset()
        self.stable = asyncio.Event()
        self._sure_until = 0.0
        self._coordinator = coordinator
        self._topic = topic
        self._partitions = partitions
        self._session_timeout = session_timeout
        self._gained = gained
        self._letting_go = letting_go
        self._lost = lost
        self._failed = failed
        self._renewals = 0
        self._joining = False
        self._again = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    @property
    def sure(self) -> bool:
        """Whether the session owns for certain what it was given."""
        return self._loop.time() < self._sure_until

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._stay())

    def refused(self, member: Member, error: Exception) -> None:
        """The broker refused a commit of the member: there is a new generation, or will be, or it is out."""
        if member != self.member:
            return
        self.stable.clear()
        if self._joining:
            return
        if isinstance(error, kafka.UnknownMemberIdError):
            self._put_out()
        self._again.set()

    def renew(self) -> None:
        """Ask for a new generation, in which the broker refuses all that was sent before."""
        self._renewals += 1
        self.stable.clear()
        self._again.set()

    async def stop(self) -> None:
        """Say and hear nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def leave(self) -> None:
        """Tell the broker, so that the others have the partitions at once. Raises as aiokafka does."""
        await self.stop()
        if self.member.id:
            await self._coordinator.leave(self.member)

    async def _stay(self) -> None:
        while True:
            try:
                await self._take(await self._join())
                await self._beat()
            except FENCED as error:  # noqa: PERF203
                log.info("group member of %s: %s", self._topic, told(error))
                if isinstance(error, kafka.UnknownMemberIdError):
                    self._put_out()
            except FOREIGN as error:
                if not retriable(error):
                    self._failed(error)
                    return
                log.info("group member of %s: %s", self._topic, told(error))
                await asyncio.sleep(RETRY)

    async def _join(self) -> frozenset[int]:
        """The partitions that the session is given in a new generation."""
        self._joining = True
        try:
            start, renewals = self._loop.time(), self._renewals
            claim = Claim(self.member.generation, tuple(sorted(self.owned)), renewals)
            metadata = assignment.told(self._topic, claim)
            joined = await self._coordinator.join(
                self.member, metadata, self._session_timeout, named=self._named
            )
            if self._renewals == renewals:
                self._again.clear()
            self.member = joined.member
            self._sure(start)
            start = self._loop.time()
            orders = self._orders(joined.members) if joined.leads else {}
            given = assignment.read(await self._coordinator.sync(self.member, orders))
            self._sure(start)
            return given
        finally:
            self._joining = False

    def _named(self, member: Member) -> None:
        self.member = member

    async def _take(self, given: frozenset[int]) -> None:
        """Own what was given, after having let go of the rest."""
        less, more = self.owned - given, given - self.owned
        self.owned = given
        self.stable.set()
        if more:
            self._gained(more)
        if less:
            await self._letting_go(less)
            self._again.set()

    def _orders(self, members: Mapping[str, bytes]) -> dict[str, bytes]:
        claims = {member: assignment.heard(metadata) for member, metadata in members.items()}
        given = assignment.assign(claims, self._partitions)
        return {member: assignment.written(self._topic, owned) for member, owned in given.items()}

    async def _beat(self) -> None:
        """Give signs of life until there is to be a new generation."""
        while not self._again.is_set():
            start = self._loop.time()
            await self._coordinator.heartbeat(self.member)
            self._sure(start)
            wait = self._session_timeout / BEATS - (self._loop.time() - start)
            try:
                await asyncio.wait_for(self._again.wait(), max(wait, 0.001))
            except asyncio.TimeoutError:
                continue

    def _sure(self, start: float) -> None:
        self._sure_until = start + self._session_timeout * (1 - 1 / BEATS)

    def _put_out(self) -> None:
        self.member = Member()
        self._sure_until = 0.0
        self.owned = frozenset()
        self._lost()
