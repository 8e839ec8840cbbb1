"""Contexts that one task enters and leaves, as some libraries demand, while others say when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from eventproof.adapters.errors import Indeterminate

Value = TypeVar("Value")


class Held(Generic[Value]):
    """A context in a task of its own. open_: called in that task."""

    def __init__(self, open_: Callable[[], AbstractAsyncContextManager[Value]]) -> None:
        self._entered: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._leaving = asyncio.Event()
        self._task = asyncio.ensure_future(self._hold(open_))

    async def enter(self) -> Value:
        """Raises what entering raises, and Indeterminate if it was left meanwhile."""
        either: set[asyncio.Future[Any]] = {self._entered, self._task}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._entered.done():
            if self._task.cancelled():
                raise Indeterminate("it was left before it was entered")
            self._task.result()
        return self._entered.result()

    async def leave(self) -> None:
        """Leave, or give up entering. Raises what leaving raises."""
        self._leaving.set()
        if not self._entered.done():
            self._task.cancel()
        await asyncio.wait({self._task})
        if self._entered.done() and not self._task.cancelled():
            self._task.result()

    async def _hold(self, open_: Callable[[], AbstractAsyncContextManager[Value]]) -> None:
        async with open_() as value:
            self._entered.set_result(value)
            await self._leaving.wait()
