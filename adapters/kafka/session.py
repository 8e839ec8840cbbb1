"""One member of a group: its parts, and how it enters and leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

from eventproof.adapters.errors import EventproofError
from eventproof.adapters.kafka import closing
from eventproof.adapters.kafka.burials import Burials
from eventproof.adapters.kafka.commits import Account, Committer
from eventproof.adapters.kafka.coordinator import Coordinator
from eventproof.adapters.kafka.deadletter import DeadLetters
from eventproof.adapters.kafka.errors import FOREIGN, told, translate
from eventproof.adapters.kafka.group import Group
from eventproof.adapters.kafka.handouts import HandOuts
from eventproof.adapters.kafka.holdings import Holdings
from eventproof.adapters.kafka.intake import Intake
from eventproof.adapters.kafka.link import Link
from eventproof.adapters.kafka.membership import Membership
from eventproof.adapters.kafka.settle import KafkaDelivery

log = logging.getLogger("eventproof.adapters.kafka")
RETRY: Final = 0.05


class Session:
    """`eventproof.adapters.port.Subscription` on Kafka; several tasks may iterate over it."""

    def __init__(self, link: Link, group: Group, limit: int) -> None:
        """limit: bytes of a batch of records that the broker takes."""
        self._link = link
        self._group = group
        self._failure: Exception | None = None
        self._ended = asyncio.Event()
        self._coordinator = Coordinator(link, group.id, group.topic.stored_as)
        self._membership = Membership(
            self._coordinator,
            group.topic.stored_as,
            partitions=group.topic.partitions,
            session_timeout=link.options.session_timeout,
            gained=self._gained,
            letting_go=self._let_go,
            lost=self._lost,
            failed=self._failed,
        )
        self._committer = Committer(
            self._coordinator,
            self._membership,
            deadline=link.deadline,
            confirmed=self._confirmed,
            failed=self._failed,
        )
        self._letters = DeadLetters(link, group, self._coordinator, self._committer, limit)
        self._burials = Burials(self._letters, group.name)
        self._intake = Intake(link, group, changed=self._changed, gone=self._failed)
        self._out = HandOuts(
            link, group, self._membership, self._committer, self._burials, room=self._intake.wake_if_full
        )
        self._holdings = Holdings(
            link,
            group,
            self._coordinator,
            self._committer,
            self._membership,
            self._letters,
            opened=self._opened,
            failed=self._failed,
        )

    def __aiter__(self) -> Session:
        return self

    async def __anext__(self) -> KafkaDelivery:
        return await self._out.next()

    async def open(self, *, begun: bool) -> None:
        """Join the group. begun: whether the group has begun on every partition; if not, wait until it has.

        Raises Rejected (`conflict`, `forbidden`), Indeterminate.
        """
        await asyncio.gather(self._reach(self._coordinator.open), self._reach(self._intake.open))
        self._membership.start()
        if begun:
            self._holdings.begun.set()
        else:
            await self._begin()

    async def _reach(self, opening: Callable[[], Awaitable[None]]) -> None:
        """Each is tried again by itself: where one of two fails, the other one would go on unseen."""
        while True:
            try:
                await opening()
            except FOREIGN as error:  # noqa: PERF203
                log.info("group %s: %s", self._group.name, told(error))
                await asyncio.sleep(RETRY)
            else:
                return

    async def close(self) -> None:
        """Leave: what is unsettled goes back, so that others have it at once."""
        self.end(f"this member left group {self._group.name}")
        try:
            await self._at_most(self._link.deadline / 2, self._return(self._committer.accounts.values()))
            await self._at_most(self._link.deadline / 2, self._membership.leave())
        finally:
            await closing.to_the_end(self._close())

    def end(self, reason: str) -> None:
        """From now on `__anext__` raises SessionLost."""
        self._out.end(reason)
        self._ended.set()

    async def _begin(self) -> None:
        """Wait until the group has begun on every partition, or there is no hope."""
        beginning = asyncio.ensure_future(self._holdings.wait_until_begun())
        ending = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((beginning, ending), return_when=asyncio.FIRST_COMPLETED)
            if self._failure is not None:
                raise self._failure
            await asyncio.wait_for(beginning, 0 if self._ended.is_set() else None)
        finally:
            ending.cancel()
            beginning.cancel()
            await asyncio.gather(beginning, ending, return_exceptions=True)

    async def _at_most(self, seconds: float, act: Coroutine[Any, Any, None]) -> None:
        """What could not be told or given back comes back when its lease ends."""
        try:
            await asyncio.wait_for(act, seconds)
        except (EventproofError, *FOREIGN) as failed:
            log.info("group %s: giving back: %s", self._group.name, told(failed))

    async def _close(self) -> None:
        await self._membership.stop()
        await self._holdings.close()
        await self._committer.close()
        await self._burials.close()
        await asyncio.gather(self._intake.close(), self._letters.close(), self._coordinator.close())

    def _failed(self, error: Exception) -> None:
        """There is no hope: the session is over."""
        known = isinstance(error, EventproofError)
        self._failure = error if known else translate(error, "joining the group")
        self.end(f"group {self._group.name}: {self._failure}")
        self._lost()

    def _changed(self) -> None:
        self._out.changed()

    def _confirmed(self) -> None:
        self._out.confirmed()

    # partitions come and go

    def _gained(self, partitions: frozenset[int]) -> None:
        self._holdings.take(partitions)

    def _opened(self, accounts: Mapping[int, Account]) -> None:
        self._out.open(accounts.values())
        self._intake.take(accounts)

    async def _let_go(self, partitions: frozenset[int]) -> None:
        accounts = [self._committer.accounts[p] for p in partitions if p in self._committer.accounts]
        self._intake.let_go(partitions)
        await self._at_most(self._link.options.session_timeout / 2, self._return(accounts))
        for account in accounts:
            if self._committer.owns(account):
                self._committer.drop(account.partition, "the partition went to another member")
        self._changed()  # there is room again for what other partitions have

    def _lost(self) -> None:
        self._holdings.forget()
        self._intake.let_go(frozenset(self._committer.accounts))
        for account in tuple(self._committer.accounts.values()):
            self._out.stop(account)
            self._committer.drop(account.partition, "another member may have the partition")

    async def _return(self, accounts: Iterable[Account]) -> None:
        """Hand out nothing more of these, give back what is unsettled, and tell so."""
        accounts, now = tuple(accounts), asyncio.get_running_loop().time()
        for account in accounts:
            for hand_out in self._out.stop(account):
                account.ledger.retry(hand_out.slot, now, now)
            for slot in account.ledger.reserved():
                account.ledger.take_back(slot, now)
        await self._burials.wait(accounts)
        await asyncio.gather(*(self._committer.told(account) for account in accounts))
