"""A subscription of the served adapter, asked for its next delivery again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from eventproof.adapters.errors import SessionLost
from eventproof.adapters.port import Delivery, Subscription
from eventproof.conformance.driver.held import Held


class Session:
    """One wait for a delivery is open at a time. It goes on when the time of those who asked is over, and
    so nothing is ever cancelled that could get lost. connection: its number."""

    def __init__(
        self, open_: Callable[[], AbstractAsyncContextManager[Subscription]], connection: int
    ) -> None:
        self.connection = connection
        self._held = Held(open_)
        self._pending: asyncio.Future[Delivery] | None = None
        self._left = False

    async def enter(self) -> None:
        """Raises what entering raises, and Indeterminate if it was left meanwhile."""
        await self._held.enter()

    async def next(self, timeout: float) -> Delivery | None:
        """The next delivery, None if there is none within so many seconds. Raises what the wait raises."""
        subscription = await self._held.enter()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not self._left:
            if self._pending is None:
                self._pending = asyncio.ensure_future(subscription.__anext__())
            pending = self._pending
            await asyncio.wait({pending}, timeout=max(deadline - loop.time(), 0))
            if pending.done() and self._pending is pending:
                self._pending = None
                return pending.result()
            if loop.time() >= deadline:
                return None
        raise SessionLost("the subscription was left")

    async def leave(self) -> None:
        """Give back what is unsettled, also what came unasked for. Raises what leaving raises."""
        self._left = True
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
            if not pending.cancelled():
                pending.exception()  # of a wait that nobody asked for again
        await self._held.leave()
