"""Writing down how the partitions of a session stand: one commit at a time, each with the whole state of what
has changed since the last one.

A commit that the broker refuses is made again in the next generation, if the partition is still owned then.
One whose outcome is not known is made again as well, in a new generation: the broker may still carry out the
first one after the second, unless it is fenced.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import aiokafka.errors as kafka

from eventproof.adapters.errors import Indeterminate, LeaseExpired
from eventproof.adapters.kafka.coordinator import Coordinator, Member
from eventproof.adapters.kafka.errors import FOREIGN, retriable, told
from eventproof.adapters.kafka.ledger import Ledger
from eventproof.adapters.kafka.membership import FENCED, Membership

log = logging.getLogger("eventproof.adapters.kafka")
RETRY: Final = 0.05
NO_EFFECT: Final = (*FENCED, kafka.NodeNotReadyError)
UNSURE: Final = (OSError, asyncio.TimeoutError, kafka.KafkaConnectionError, kafka.RequestTimedOutError)


class Account:
    """A partition's ledger, and who waits for a commit of it.

    doubt: version that a commit may have told of whose outcome is not known, or not yet.
    sealed: a transaction tells how the partition stands; no commit does meanwhile.
    """

    __slots__ = ("doubt", "ledger", "partition", "sealed", "waiting")

    def __init__(self, partition: int, ledger: Ledger) -> None:
        self.partition = partition
        self.ledger = ledger
        self.waiting: deque[tuple[int, float, asyncio.Future[None]]] = deque()
        self.doubt = -1
        self.sealed = False

    def confirm(self, version: int) -> None:
        """All changes up to `version` are told."""
        self.ledger.confirmed = max(self.ledger.confirmed, version)
        while self.waiting and self.waiting[0][0] <= version:
            waiter = self.waiting.popleft()[2]
            if not waiter.done():
                waiter.set_result(None)

    def fail(self, why: str) -> None:
        """The partition belongs to somebody else; nothing more is told."""
        for version, _, waiter in self.waiting:
            if not waiter.done():
                waiter.set_exception(Indeterminate(why) if version <= self.doubt else LeaseExpired(why))
        self.waiting.clear()

    def give_up(self, before: float, why: str) -> None:
        """Who has waited until `before` does not wait longer; the commit is made all the same."""
        while self.waiting and self.waiting[0][1] <= before:
            waiter = self.waiting.popleft()[2]
            if not waiter.done():
                waiter.set_exception(Indeterminate(why))


class Committer:
    """confirmed: called after each commit. failed: called when the broker will take no commit."""

    def __init__(
        self,
        coordinator: Coordinator,
        membership: Membership,
        *,
        deadline: float,
        confirmed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.accounts: dict[int, Account] = {}
        self._coordinator = coordinator
        self._membership = membership
        self._deadline = deadline
        self._confirmed = confirmed
        self._failed = failed
        self._changed = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._sweep: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._run())

    def owns(self, account: Account) -> bool:
        """Whether the partition is still the session's."""
        return self.accounts.get(account.partition) is account

    def kick(self) -> None:
        """Something has changed: tell it soon, with what else changes until then."""
        self._changed.set()

    def told(self, account: Account) -> asyncio.Future[None]:
        """Done when all that has changed until now is told. Ends with LeaseExpired if the partition went to
        somebody else before, and with Indeterminate if that is not certain or takes too long."""
        if not self.owns(account):
            raise LeaseExpired("the partition went to another member")
        waiter: asyncio.Future[None] = self._loop.create_future()
        if account.ledger.version <= account.ledger.confirmed:
            waiter.set_result(None)
            return waiter
        end = self._loop.time() + self._deadline
        account.waiting.append((account.ledger.version, end, waiter))
        if self._sweep is None:
            self._sweep = self._loop.call_at(end, self._give_up)
        self._changed.set()
        return waiter

    async def seal(self, account: Account) -> None:
        """No commit of the partition from now on; one that is under way has ended when this returns."""
        account.sealed = True
        await self._quiet.wait()

    def unseal(self, account: Account) -> None:
        account.sealed = False
        self._changed.set()

    def drop(self, partition: int, why: str) -> None:
        """The partition is not the session's any more."""
        self.accounts.pop(partition).fail(why)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._sweep is not None:
            self._sweep.cancel()
        for partition in tuple(self.accounts):
            self.drop(partition, "this member left the group")

    def _give_up(self) -> None:
        now = self._loop.time()
        for account in self.accounts.values():
            account.give_up(now, f"no answer to the commit within {self._deadline:g} s")
        ends = [account.waiting[0][1] for account in self.accounts.values() if account.waiting]
        self._sweep = self._loop.call_at(min(ends), self._give_up) if ends else None

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            await self._membership.stable.wait()
            self._changed.clear()
            dirty = [one for one in self.accounts.values() if one.ledger.version > one.ledger.confirmed]
            if dirty := [one for one in dirty if not one.sealed]:
                await self._commit(dirty)

    async def _commit(self, dirty: list[Account]) -> None:
        now = self._loop.time()
        told_of = [(account, account.ledger.version) for account in dirty]
        offsets = [(account.partition, *account.ledger.snapshot(now)) for account in dirty]
        member = self._membership.member
        before = [account.doubt for account in dirty]
        for account, version in told_of:
            account.doubt = version
        self._quiet.clear()
        try:
            await self._coordinator.commit(member, offsets)
        except FOREIGN as error:
            self._changed.set()
            if isinstance(error, NO_EFFECT):
                for account, doubt in zip(dirty, before, strict=True):
                    account.doubt = doubt
            await self._refused(member, error)
        else:
            for account, version in told_of:
                account.confirm(version)
            self._confirmed()
        finally:
            self._quiet.set()

    async def _refused(self, member: Member, error: Exception) -> None:
        log.info("commit: %s", told(error))
        if isinstance(error, FENCED):
            self._membership.refused(member, error)
            return
        if not retriable(error):
            self._failed(error)
        elif isinstance(error, UNSURE):
            self._membership.renew()
        await asyncio.sleep(RETRY)
