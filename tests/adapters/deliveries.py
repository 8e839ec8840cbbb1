"""Deliveries over a broker that does what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.schemas.event import Event

EVENT = Event(source="/tests", type="t", id="1")
LEASE = 10.0
VERBS: dict[str, Callable[[LeasedDelivery], Any]] = {
    "ack": LeasedDelivery.ack,
    "nack": LeasedDelivery.nack,
    "reject": lambda delivery: delivery.reject("no"),
}
PAIRS = [(one, other) for one in VERBS for other in VERBS if one != other]


class Scripted:
    """A broker's side: notes what reaches it, and fails with what it is told to, call by call."""

    def __init__(self, *failures: BaseException | None, takes: float = 0) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.failures = list(failures)
        self.takes = takes

    async def ack(self) -> None:
        await self._called("ack")

    async def nack(self, delay: float | None) -> None:
        await self._called("nack", delay)

    async def reject(self, reason: str) -> None:
        await self._called("reject", reason)

    async def extend(self) -> None:
        await self._called("extend")

    async def _called(self, *call: object) -> None:
        self.calls.append(call)
        failure = self.failures.pop(0) if self.failures else None
        await asyncio.sleep(self.takes)
        if failure is not None:
            raise failure

    @property
    def verbs(self) -> list[object]:
        return [call[0] for call in self.calls]


def delivered(broker: Scripted, **more: Any) -> LeasedDelivery:
    return LeasedDelivery(EVENT, broker, attempt=2, ack_timeout=LEASE, **more)
