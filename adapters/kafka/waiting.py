"""Those who wait for an event, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque


class Waiting:
    """Whoever is woken looks for an event, and waits again if there is none."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Until woken. Who is cancelled at that moment wakes another in its place."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            else:
                self.wake(1)
            raise

    def wake(self, number: int) -> None:
        """Wake as many as that."""
        while number > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                number -= 1

    def wake_all(self) -> None:
        self.wake(len(self._waiters))
