"""What a JetStream server still knows after `kill -9`.

    python -m benchmarks.nats.kills [--kills 20] [--sync 2m]

In each round some tasks publish as fast as they are confirmed, members of many groups ack one event each, so
many seconds before the server is killed, and then it starts again on the same files. Half of the members ack
at once, the others have held their event for a while. Counted are the confirmed events that a group does not
get in the end, and the confirmed acks that the server does not know.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from itertools import count, product
from typing import Any, Final, NamedTuple

from eventproof.adapters.errors import Indeterminate
from eventproof.adapters.nats import api, connect, naming, provision
from eventproof.adapters.nats.link import open_link
from eventproof.adapters.nats.options import Options
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Broker, Subscription
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.schemas.event import Event

AGES: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # seconds from a confirmed ack to the kill
AHEAD: Final = 0.3  # seconds before the first ack, in which all are under way
PUBLISHERS: Final = 2
READERS: Final = 32
LOAD: Final = "load"
LATEST: Final = Policy(start="latest")
OWN: Final = Options(name="eventproof benchmark")


class Ack(NamedTuple):
    """age: seconds from its confirm to the kill. held: whether the event was handed out long before."""

    age: float
    held: bool

    @property
    def topic(self) -> str:
        return f"{self.age} {self.held}"


ACKS: Final = tuple(Ack(age, held) for age, held in product(AGES, (False, True)))


class Found:
    """What is counted. kept, doubtful, stored: ids of events. acks, forgotten: how many."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.kept: set[str] = set()
        self.doubtful: set[str] = set()
        self.stored: set[str] = set()
        self.acks: Counter[Ack] = Counter()
        self.forgotten: Counter[Ack] = Counter()

    def event(self) -> Event:
        number = next(self.numbers)
        key = {"partitionkey": str(number % READERS)}
        return Event(source="/benchmarks", type="bench.killed", id=str(number), extensions=key)


async def publish(broker: Broker, found: Found) -> None:
    """Until one is not confirmed."""
    while True:
        event = found.event()
        try:
            await broker.publish(LOAD, event)
        except Indeterminate:
            found.doubtful.add(event.id)
            return
        found.kept.add(event.id)


async def acked(broker: Broker, member: Subscription, ack: Ack, kill: float, event: Event) -> int:
    """Take an event and ack it, so long before that `loop.time()`. Its position."""
    loop = asyncio.get_running_loop()
    if not ack.held:
        await asyncio.sleep(kill - ack.age - loop.time())
    await broker.publish(ack.topic, event)
    delivery = await member.__anext__()
    if ack.held:
        await asyncio.sleep(kill - ack.age - loop.time())
    await delivery.ack()
    return int(delivery.position or 0)


async def kill_once(server: NatsServer, found: Found, group: str) -> None:
    """group: a new one each time."""
    async with AsyncExitStack() as entered:
        broker = await entered.enter_async_context(connect(server.url, deadline=2.0))
        members = [
            await entered.enter_async_context(broker.subscribe(one.topic, group=group, policy=LATEST))
            for one in ACKS
        ]
        publishing = [asyncio.ensure_future(publish(broker, found)) for _ in range(PUBLISHERS)]
        kill = asyncio.get_running_loop().time() + AHEAD + max(AGES)
        acting = (
            acked(broker, member, one, kill, found.event()) for member, one in zip(members, ACKS, strict=True)
        )
        positions = await asyncio.gather(*acting)
        server.kill()
        await asyncio.gather(*publishing)
        await server.revive()
        for one, position in zip(ACKS, positions, strict=True):
            found.acks[one] += 1
            found.forgotten[one] += await _settled(server.url, one.topic, group) < position


async def _settled(url: str, topic: str, group: str) -> int:
    """The position up to which the server knows that the group has settled everything."""
    async with open_link(url, OWN) as link:
        stream = naming.stream(link.prefix, topic)
        return (await api.consumer_info(link, stream, naming.durable(group, 0))).ack_floor.stream_seq


async def read_all(url: str, found: Found) -> None:
    """Hand all that is stored to a new group."""
    async with connect(url) as broker, broker.subscribe(LOAD, group="reader") as members:

        async def read() -> None:
            while True:
                delivery = await asyncio.wait_for(members.__anext__(), 2.0)
                found.stored.add(delivery.event.id)
                await delivery.ack()

        await asyncio.gather(*(read() for _ in range(READERS)), return_exceptions=True)


async def measure(kills: int, sync: str) -> Found:
    server, found = NatsServer(sync_interval=sync), Found()
    try:
        await server.start()
        await provision(server.url, LOAD, partitions=READERS)
        for one in ACKS:
            await provision(server.url, one.topic, partitions=1)
        for number in range(kills):
            await kill_once(server, found, f"g{number}")
        await read_all(server.url, found)
    finally:
        await server.remove()
    return found


def report(kills: int, found: Found) -> str:
    lost, stored = found.kept - found.stored, found.doubtful & found.stored
    lines = [
        f"{kills} kills",
        f"confirmed publishes  {len(found.kept)}, lost {len(lost)}",
        f"publishes in doubt   {len(found.doubtful)}, stored {len(stored)}",
        "confirmed acks forgotten, by seconds before the kill:",
    ]
    for age in AGES:
        at_once, held = (f"{found.forgotten[one]} of {found.acks[one]}" for one in ACKS if one.age == age)
        lines.append(f"  {age:4.2f} s  {at_once} acked at once, {held} of events held before")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nats.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="rounds")
    parser.add_argument("--sync", default="2m", help="the server's sync_interval: 2m, or always")
    given: Any = parser.parse_args()
    print(report(given.kills, asyncio.run(measure(given.kills, given.sync))))


if __name__ == "__main__":
    main()
