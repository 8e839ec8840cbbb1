"""A broker that hands everything on to another one: what is built on it shows one mistake and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from eventproof.adapters.claims import Claims
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Broker, Delivery, Receipt, Subscription
from eventproof.schemas.event import Event


class Around:
    """`claims`, `publish` and `handed` are there to be overridden."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.claims: Claims = broker.claims

    async def publish(self, topic: str, event: Event) -> Receipt:
        return await self.broker.publish(topic, event)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Subscription]:
        async with self.broker.subscribe(topic, group=group, policy=policy) as inner:
            yield Handed(inner, lambda delivery: self.handed(delivery, policy))

    async def handed(self, delivery: Delivery, policy: Policy) -> Delivery:
        """What the consumer gets instead of a delivery."""
        return delivery


class Handed:
    """A subscription whose deliveries go through a function."""

    def __init__(self, inner: Subscription, change: Callable[[Delivery], Awaitable[Delivery]]) -> None:
        self._inner = inner
        self._change = change

    def __aiter__(self) -> Handed:
        return self

    async def __anext__(self) -> Delivery:
        return await self._change(await self._inner.__anext__())
