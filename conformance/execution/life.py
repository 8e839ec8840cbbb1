"""The life of a consumer that faults will befall: frozen for a while, killed, or spent to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from eventproof.conformance.execution.participant import Body
from eventproof.conformance.execution.run import Run
from eventproof.conformance.scenario import Fault


class Life:
    """One body and what is done with it. dead: it was killed. again: ticks until another life follows, or
    None."""

    def __init__(self, process: str, body: Body, run: Run) -> None:
        self.dead = False
        self.again: int | None = None
        self._process = process
        self._body = body
        self._run = run
        self._going = asyncio.Event()
        self._going.set()
        self._end: asyncio.Task[None] | None = None
        self._buried = asyncio.Event()

    async def awake(self) -> None:
        """Wait while it is frozen."""
        await self._going.wait()

    def strike(self, fault: Fault) -> None:
        """Kill it or freeze it, unless it is dead or frozen."""
        if self.dead or not self._going.is_set():
            return
        if fault.do == "kill":
            self.dead, self.again = True, fault.ticks
            self._run.record("consumer.killing", process=self._process)
            self._body.kill()
            self._end = asyncio.ensure_future(self._bury())
        else:
            self._going.clear()
            self._body.freeze()
            self._run.record("consumer.paused", process=self._process)
            self._end = asyncio.ensure_future(self._thaw((fault.ticks or 1) * self._run.site.tick))

    async def spend(self, work: Coroutine[Any, Any, None], handlers: Iterable[asyncio.Task[None]]) -> None:
        """Do the work until it is done or the body is dead; then nothing of it is left."""
        doing, burial = asyncio.ensure_future(work), asyncio.ensure_future(self._buried.wait())
        try:
            await asyncio.wait({doing, burial}, return_when=asyncio.FIRST_COMPLETED)
            if self._end is not None:
                await self._end
        finally:
            self._wake()  # else it is asked in vain to leave
            ends = () if self._end is None else (self._end,)
            left = (doing, burial, *ends, *(handlers if self.dead else ()))
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        if not self.dead:
            doing.result()

    async def _bury(self) -> None:
        """Its last words are heard before its death is recorded (DRV-013)."""
        try:
            await self._body.ended()
            self._run.record("consumer.killed", process=self._process)
        finally:
            self._buried.set()

    async def _thaw(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._wake()

    def _wake(self) -> None:
        """Let it go on, if it stands still."""
        if not self._going.is_set():
            self._run.record("consumer.resumed", process=self._process)
            self._body.thaw()
            self._going.set()
