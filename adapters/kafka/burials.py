"""Dead letters on their way, each beside the session until it is stored or refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.kafka.commits import Account
from eventproof.adapters.kafka.deadletter import DeadLetters
from eventproof.adapters.kafka.slot import Slot
from eventproof.schemas.deadletter import Reason

log = logging.getLogger("eventproof.adapters.kafka")
RETRY: Final = 0.05


class Burial:
    """outcome: ends with Rejected, with Indeterminate if the session was left, or with nothing."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.outcome.add_done_callback(_retrieve)
        self.task: asyncio.Task[None] | None = None


class Burials:
    """Those of one session. group: its name."""

    def __init__(self, letters: DeadLetters, group: str) -> None:
        self._letters = letters
        self._group = group
        self._burials: dict[Slot, Burial] = {}

    def begin(
        self,
        account: Account,
        slot: Slot,
        reason: Reason,
        error: str,
        ended: Callable[[Rejected | None], None],
    ) -> Burial:
        """Dead-letter an event that was given up. ended: called once that is done, or was refused."""
        burial = self._burials[slot] = Burial(account)
        burial.task = asyncio.ensure_future(self._bury(burial, slot, reason, error, ended))
        return burial

    def of(self, slot: Slot) -> Burial | None:
        """That of an event, if it is under way."""
        return self._burials.get(slot)

    async def wait(self, accounts: Iterable[Account]) -> None:
        """Until those of the partitions have ended."""
        found = set(accounts)
        outcomes = [burial.outcome for burial in self._burials.values() if burial.account in found]
        if outcomes:
            await asyncio.wait(outcomes)

    async def close(self) -> None:
        tasks = [burial.task for burial in self._burials.values() if burial.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _bury(
        self,
        burial: Burial,
        slot: Slot,
        reason: Reason,
        error: str,
        ended: Callable[[Rejected | None], None],
    ) -> None:
        try:
            await self._try(burial.account, slot, reason, error)
        except Rejected as refused:
            log.warning("dead letter of group %s: %s", self._group, refused)
            self._end(burial, slot, refused)
            ended(refused)
        except asyncio.CancelledError:
            self._end(burial, slot, Indeterminate("dead-lettering: the session was left"))
            raise
        else:
            self._end(burial, slot, None)
            ended(None)

    async def _try(self, account: Account, slot: Slot, reason: Reason, error: str) -> None:
        while True:
            try:
                await self._letters.bury(account, slot, reason, error)
            except Indeterminate as unknown:  # noqa: PERF203
                log.info("dead letter of group %s: %s", self._group, unknown)
                await asyncio.sleep(RETRY)
            else:
                return

    def _end(self, burial: Burial, slot: Slot, error: Exception | None) -> None:
        del self._burials[slot]
        if burial.outcome.done():
            return
        if error is None:
            burial.outcome.set_result(None)
        else:
            burial.outcome.set_exception(error)


def _retrieve(outcome: asyncio.Future[None]) -> None:
    """Nobody has to wait for it."""
    if not outcome.cancelled():
        outcome.exception()
