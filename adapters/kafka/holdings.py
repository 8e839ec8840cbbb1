"""The partitions of one session, from the moment they are given to it until it lets go of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from eventproof.adapters import clock
from eventproof.adapters.errors import EventproofError, Rejected
from eventproof.adapters.kafka import questions
from eventproof.adapters.kafka.commits import Account, Committer
from eventproof.adapters.kafka.coordinator import Coordinator, Member
from eventproof.adapters.kafka.deadletter import DeadLetters
from eventproof.adapters.kafka.errors import FOREIGN, told
from eventproof.adapters.kafka.group import RECORD, Group
from eventproof.adapters.kafka.ledger import MILLISECONDS, Ledger
from eventproof.adapters.kafka.link import Link
from eventproof.adapters.kafka.membership import Membership
from eventproof.adapters.kafka.progress import Progress, decode, encode
from eventproof.adapters.kafka.terms import Terms

log = logging.getLogger("eventproof.adapters.kafka")
LOOK_AGAIN = 0.05  # seconds
WAITS: tuple[type[BaseException], ...] = (*FOREIGN, EventproofError)


class Holdings:
    """Reads how a partition stands, or begins it, and opens its account.

    opened: called with accounts to hand out from. failed: called when the group is not what it was.
    """

    def __init__(
        self,
        link: Link,
        group: Group,
        coordinator: Coordinator,
        committer: Committer,
        membership: Membership,
        letters: DeadLetters,
        *,
        opened: Callable[[Mapping[int, Account]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.begun = asyncio.Event()
        self._link = link
        self._group = group
        self._coordinator = coordinator
        self._committer = committer
        self._membership = membership
        self._letters = letters
        self._opened = opened
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def take(self, partitions: frozenset[int]) -> None:
        """The session owns these from now on."""
        task = asyncio.ensure_future(self._take(partitions))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self) -> None:
        """The session owns nothing: what is being read is somebody else's by now."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        self.forget()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, partitions: frozenset[int]) -> None:
        while wanted := [p for p in partitions if self._is_wanted(p)]:
            member = self._membership.member  # who owns them; it may own them no more when it writes
            try:
                found = await self._look(wanted, member)
            except Rejected as refused:
                self._failed(refused)
                return
            except WAITS as error:
                log.info("group %s: %s", self._group.name, error)
                found = {}
            accounts = {
                number: self._account(number, found[number]) for number in found if self._is_wanted(number)
            }
            if accounts:
                self._committer.accounts.update(accounts)
                self._opened(accounts)
            if len(accounts) < len(wanted):
                await asyncio.sleep(LOOK_AGAIN)

    def _is_wanted(self, number: int) -> bool:
        return number in self._membership.owned and number not in self._committer.accounts

    def _account(self, number: int, state: Progress) -> Account:
        policy = self._group.policy
        terms = Terms(
            policy=self._group.digest,
            lease=policy.ack_timeout,
            hold=self._group.hold,
            max_attempts=policy.max_attempts,
            skew=clock.now().timestamp() - self._loop.time(),
            window=round(self._link.options.window * MILLISECONDS),
        )
        return Account(number, Ledger(state, terms))

    async def _look(self, wanted: list[int], member: Member) -> dict[int, Progress]:
        """How those of the partitions stand that have begun. Raises Rejected, and as aiokafka does."""
        places = await self._coordinator.committed(sorted({RECORD, *wanted}))
        found = {number: decode(*place) for number, place in places.items()}
        if RECORD in found:
            self._group.check(found[RECORD])
        if RECORD in found or RECORD in wanted:
            new = [number for number in wanted if number not in found]
            found |= await self._begin(new, member) if new else {}
        for number in wanted:
            if number in found and any(entry.dying for entry in found[number].touched.values()):
                await self._letters.fence(number)
                found[number] = await self._letters.place(number)
        return {number: found[number] for number in wanted if number in found}

    async def _begin(self, numbers: list[int], member: Member) -> dict[int, Progress]:
        """The start of the group on the partitions, made durable."""
        if self.begun.is_set() and RECORD in numbers:
            raise Rejected("no-group", f"group {self._group.name} was deleted")
        latest = self._group.policy.start == "latest"
        ends = await questions.offsets(
            self._link, self._group.topic.stored_as, questions.LATEST if latest else questions.EARLIEST
        )
        starts = {n: Progress(ends[n], self._group.digest, history=ends[n]) for n in numbers}
        now = round(clock.now().timestamp() * MILLISECONDS)
        places = [(number, start.offset, encode(start, now)) for number, start in starts.items()]
        await self._coordinator.commit(member, places)
        return starts

    async def wait_until_begun(self) -> None:
        """Return once the group has begun on every partition."""
        every = range(self._group.topic.partitions)
        while True:
            try:
                found = await self._coordinator.committed(every)
            except FOREIGN as error:
                log.info("group %s: %s", self._group.name, told(error))
            else:
                if RECORD in found:
                    self._group.check(decode(*found[RECORD]))
                if len(found) == len(every):
                    self.begun.set()
                    return
            await asyncio.sleep(LOOK_AGAIN)
