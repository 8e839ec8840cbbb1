"""A shop publishes orders and its billing handles them, on a NATS server.

eventproof broker start nats --port 4222
python examples/orders.py nats://127.0.0.1:4222
"""

from __future__ import annotations

import asyncio
import sys

from eventproof import Event, Policy, connect
from eventproof.adapters.nats import provision

DAY = 86_400
ORDERS = 3


async def set_up(url: str) -> None:
    """Once, by whoever owns the topics: publishing to a topic that nobody made is refused."""
    await provision(url, "orders", partitions=8, retention=7 * DAY, window=600)
    await provision(url, "orders-dead", partitions=1)


async def shop(url: str) -> None:
    async with connect(url) as broker:
        for number in range(ORDERS):
            order = Event(
                source="/shop",
                type="com.example.order.paid.v1",
                data={"total": 400 * (number + 1)},
                extensions={"partitionkey": f"customer-{number % 2}"},
            )
            await broker.publish("orders", order)


async def billing(url: str) -> None:
    policy = Policy(max_attempts=5, dead_letter="orders-dead", types=("com.example.order.*",))
    async with connect(url) as broker, broker.subscribe("orders", group="billing", policy=policy) as orders:
        left = ORDERS
        async for delivery in orders:
            async with delivery as event:  # acks on success; nacks, logs and goes on if the handler fails
                print(f"billed {event.data['total']}")
            left -= 1
            if not left:
                break


async def main(url: str) -> None:
    await set_up(url)
    await shop(url)
    await billing(url)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
