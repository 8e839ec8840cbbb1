"""What befalls a broker on which several scenarios run: one of them leads, and each history records it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eventproof.adapters.errors import EventproofError
from eventproof.conformance.execution.recovery import Recovery
from eventproof.conformance.history.recorder import Recorder
from eventproof.conformance.scenario import Fault

Told = TypeVar("Told")


class Weather:
    """The faults of one broker while a batch of scenarios runs on it.

    recovery: how it is struck and brought back. awaited: runs that begin their traffic together, so that a
    fault meets all of them under way; 0 where no fault comes. strikes: faults so far.
    """

    def __init__(self, recovery: Recovery, awaited: int = 0) -> None:
        self.strikes = 0
        self._recovery = recovery
        self._awaited = awaited
        self._records: list[Recorder] = []
        self._ready, self._calm, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._calm.set()
        if not awaited:
            self._ready.set()
            self._over.set()
        self._task: asyncio.Task[None] | None = None

    def join(self, record: Recorder) -> None:
        """From here on the history of a run records what befalls the broker."""
        self._records.append(record)

    def leave(self, record: Recorder, *, began: bool) -> None:
        """The run is over. began: its traffic did, so nobody waits for it."""
        self._records.remove(record)
        if not began:
            self._arrive()

    async def ready(self) -> None:
        """Wait for the traffic of all the runs to begin."""
        self._arrive()
        await self._ready.wait()

    def _arrive(self) -> None:
        self._awaited -= 1
        if self._awaited <= 0:
            self._ready.set()

    def strike(self, fault: Fault) -> None:
        """Strike at once, and begin to recover; nothing while an earlier fault is not over."""
        if self._calm.is_set():
            self.strikes += 1
            self._calm.clear()
            self._task = asyncio.ensure_future(self._recover(fault))
            self._recovery.strike(fault, self._record)

    async def _recover(self, fault: Fault) -> None:
        try:
            await self._recovery.recover(fault, self._record)
        finally:
            self._calm.set()

    def _record(self, kind: str) -> None:
        for record in self._records:
            record(kind)

    async def calm(self) -> None:
        """Wait until the broker can be used. Raises what kept it from coming back."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def end(self) -> None:
        """The leading run has no fault left."""
        try:
            await self.calm()
        finally:
            self._over.set()

    async def over(self) -> None:
        """Wait until no fault comes any more, and the broker can be used."""
        await self._over.wait()
        await self.calm()

    async def told(self, ask: Callable[[], Awaitable[Told]]) -> Told | None:
        """What the broker tells about itself, or None if a fault keeps it from telling."""
        strikes = self.strikes
        try:
            return await ask()
        except EventproofError:
            if self._calm.is_set() and self.strikes == strikes:
                raise
            await self.calm()
            return None
