"""The dead letter: its copy and the settlement of the original are one transaction, so there is one copy.

The broker fences a transaction by its transactional id, and not by the generation of the group. So who
dead-letters first makes the id of the partition its own, and then tells in an ordinary commit, which is
fenced by the generation, that a dead letter may be under way. Who takes over a partition and finds that told
makes the id its own before it reads on: then nothing is under way any more.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiokafka.client import AIOKafkaClient

from eventproof.adapters.clock import now as clock
from eventproof.adapters.errors import EventproofError, Indeterminate, Rejected
from eventproof.adapters.kafka import closing, content, naming, questions
from eventproof.adapters.kafka.commits import Account, Committer
from eventproof.adapters.kafka.coordinator import Coordinator
from eventproof.adapters.kafka.errors import FOREIGN, REFUSALS, told, translated
from eventproof.adapters.kafka.group import Group
from eventproof.adapters.kafka.intake import Undecodable
from eventproof.adapters.kafka.link import REQUEST_TIMEOUT, Link
from eventproof.adapters.kafka.partitioning import partition
from eventproof.adapters.kafka.progress import Progress, decode
from eventproof.adapters.kafka.slot import Slot
from eventproof.adapters.kafka.transaction import Letter, Place, Transactions
from eventproof.schemas.deadletter import Reason, to_dead_letter, undecodable
from eventproof.schemas.event import Event

log = logging.getLogger("eventproof.adapters.kafka")
RETRY: Final = 0.05


class DeadLetters:
    """Those of one session. limit: bytes of a batch that the broker takes."""

    def __init__(
        self, link: Link, group: Group, coordinator: Coordinator, committer: Committer, limit: int
    ) -> None:
        self._link = link
        self._group = group
        self._coordinator = coordinator
        self._committer = committer
        self._limit = limit
        self._client: AIOKafkaClient | None = None
        self._opening = asyncio.Lock()
        self._turns: dict[int, asyncio.Lock] = {}
        self._transactions: dict[int, Transactions] = {}

    async def close(self) -> None:
        if self._client is not None:
            await closing.close(self._client)

    async def fence(self, number: int) -> None:
        """End what an earlier owner of the partition has under way. Raises as aiokafka does."""
        await (await self._of(number)).initialise()

    async def bury(self, account: Account, slot: Slot, reason: Reason, error: str) -> None:
        """Move the event to the policy's dead-letter topic, one of a partition after the other.

        Raises Rejected as a publish does, and LeaseExpired; Indeterminate if it may be tried again. Whatever
        is raised, nothing has happened.
        """
        letter = await self._letter(self._dead(slot, account.partition, reason, error))
        with translated("dead-lettering"):
            await self._bury(letter, account, slot)

    async def _bury(self, letter: Letter, account: Account, slot: Slot) -> None:
        async with self._turns.setdefault(account.partition, asyncio.Lock()):
            transactions = await self._of(account.partition)
            if not transactions.ready:
                await transactions.initialise()
            account.ledger.mark(slot, dying=True)
            await self._settle_doubt(account)
            try:
                await self._carry_out(transactions, letter, account, slot)
            finally:
                self._committer.unseal(account)

    async def _settle_doubt(self, account: Account) -> None:
        """Tell of the mark, and let no commit be under way: one of which nobody knows might come later."""
        while True:
            await self._committer.told(account)
            await self._committer.seal(account)
            if account.doubt <= account.ledger.confirmed:
                return
            self._committer.unseal(account)

    def _dead(self, slot: Slot, number: int, reason: Reason, error: str) -> Event:
        topic, group = self._group.topic.name, self._group.name
        if isinstance(slot.value, Undecodable):
            return undecodable(
                slot.value.raw, topic=topic, group=group, position=f"{number}-{slot.offset}",
                error=slot.value.problem, now=clock(),
            )  # fmt: skip
        return to_dead_letter(
            slot.value,
            reason=reason,
            attempts=slot.attempt,
            topic=topic,
            group=group,
            error=error,
            now=clock(),
        )

    async def _letter(self, dead: Event) -> Letter:
        if self._group.dead is None:
            raise Rejected(
                "no-dead-letter", f"the policy of group {self._group.name} names no dead-letter topic"
            )
        topic = self._group.dead.stored_as
        record = content.of_dead_letter(dead, self._limit)
        if (size := content.total(record)) > self._limit:
            raise Rejected("too-large", f"{size} bytes as a dead letter, the broker takes {self._limit}")
        leaders = await questions.leaders(self._link, topic)
        spread = dead.identity.encode() if record.key is None else record.key
        number = partition(spread, len(leaders))
        return Letter(topic, number, leaders[number], record)

    async def _carry_out(
        self, transactions: Transactions, letter: Letter, account: Account, slot: Slot
    ) -> None:
        ledger, loop = account.ledger, asyncio.get_running_loop()
        version = ledger.version
        offset, text = ledger.snapshot(loop.time(), without=slot)
        place = Place(self._group.id, self._group.topic.stored_as, account.partition, offset, text)
        try:
            await transactions.carry_out(letter, place)
        except FOREIGN as error:
            log.info("dead letter of group %s: %s", self._group.name, told(error))
            if not await self._carried_out(transactions, account, slot):
                ledger.mark(slot, dying=False)
                raise _refusal(error) from error
        account.confirm(version)
        ledger.settle(slot, loop.time())

    async def _carried_out(self, transactions: Transactions, account: Account, slot: Slot) -> bool:
        """Whether a transaction of unknown outcome took effect; afterwards it does not any more."""
        await transactions.initialise()
        state = await self.place(account.partition)
        return slot.offset < state.offset or any(start <= slot.offset < end for start, end in state.settled)

    async def place(self, number: int) -> Progress:
        """Where the group stands on a partition, as the broker tells."""
        while True:
            try:
                found = await self._coordinator.committed([number])
            except FOREIGN as error:  # noqa: PERF203
                log.info("group %s: %s", self._group.name, told(error))
                await asyncio.sleep(RETRY)
            else:
                if number not in found:
                    raise Rejected("no-group", f"group {self._group.name} was deleted")
                return decode(*found[number])

    async def _of(self, number: int) -> Transactions:
        async with self._opening:
            if self._client is None:
                client = AIOKafkaClient(**self._link.arguments, request_timeout_ms=REQUEST_TIMEOUT)
                await client.bootstrap()
                self._client = client
            if number not in self._transactions:
                name = naming.transaction(self._group.id, number)
                self._transactions[number] = Transactions(self._client, name)
            return self._transactions[number]


def _refusal(error: Exception) -> EventproofError:
    """Nothing has happened; without a reason of the broker's it may be tried again."""
    kind = REFUSALS.get(type(error))
    return Indeterminate(told(error)) if kind is None else Rejected(kind, told(error))
