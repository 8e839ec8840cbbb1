"""Ask a Kafka server in its own protocol whether it can be used: no client library, no state of one.

The versions are the oldest that every Apache Kafka 4 speaks: those whose form is plain.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final

from eventproof.conformance.targets.ports import HOST

_METADATA: Final = 3, 1
_FIND_COORDINATOR: Final = 10, 1
_DESCRIBE_GROUPS: Final = 15, 0
_INIT_PRODUCER_ID: Final = 22, 0
_DESCRIBE_TRANSACTIONS: Final = 65, 0
_GROUP, _TRANSACTION = 0, 1  # kinds of coordinators
_NO_SUCH_ID: Final = 105  # what a transaction coordinator says of nobody's id, once it has read its log
_NOBODY: Final = "eventproof-probe-"
_NOTHING: Final = struct.pack(">h", -1)  # a string that is null


class NotYet(Exception):
    """The server cannot be used at present."""


class _Answer:
    """A response, read from its beginning."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def number(self, form: str) -> int:
        number: int = struct.unpack_from(f">{form}", self._body, self._at)[0]
        self._at += struct.calcsize(form)
        return number

    def text(self) -> str:
        length = max(self.number("h"), 0)
        self._at += length
        return self._body[self._at - length : self._at].decode()

    def numbers(self) -> list[int]:
        return [self.number("i") for _ in range(self.number("i"))]

    def refuse(self, what: str, allowed: int = 0) -> None:
        """Raise NotYet if the error code that comes next is another one."""
        if (code := self.number("h")) not in {0, allowed}:
            raise NotYet(f"{what}: error {code}")


_Ask = Callable[[tuple[int, int], bytes], Awaitable[_Answer]]


async def usable(port: int, nodes: Collection[int], coordinators: int) -> None:
    """Return if clients can use the node at this port for everything, as far as it knows; else raise NotYet,
    OSError, EOFError or struct.error.

    Then these nodes take part, each partition has a leader, each copy on these nodes is in sync, producers
    get an id, and the coordinators of groups and of transactions have read their logs. coordinators: how many
    partitions share out that work.
    """
    async with _connected(port) as ask:
        _led(await ask(_METADATA, struct.pack(">i", -1)), nodes)
        for number in range(coordinators):
            name = _string(_NOBODY + chr(ord("a") + number))  # consecutive letters: consecutive partitions
            await _groups(ask, name)
            await _transactions(ask, name)
        answer = await ask(_INIT_PRODUCER_ID, _NOTHING + struct.pack(">i", 1000))
        answer.number("i")
        answer.refuse("producer ids")


def _led(answer: _Answer, nodes: Collection[int]) -> None:
    brokers = set()
    for _ in range(answer.number("i")):
        brokers.add(answer.number("i"))
        answer.text(), answer.number("i"), answer.text()
    if missing := set(nodes) - brokers:
        raise NotYet(f"nodes {missing} take no part")
    answer.number("i")
    for _ in range(answer.number("i")):
        answer.refuse("a topic")
        topic = answer.text()
        answer.number("b")
        for _ in range(answer.number("i")):
            _partition(answer, topic, nodes)


def _partition(answer: _Answer, topic: str, nodes: Collection[int]) -> None:
    answer.number("h")  # leader or listener not there: the leader says so
    number, leader = answer.number("i"), answer.number("i")
    copies, in_sync = answer.numbers(), answer.numbers()
    if leader < 0 or set(copies).intersection(nodes).difference(in_sync):
        raise NotYet(f"partition {number} of {topic} has leader {leader}, in sync {in_sync} of {copies}")


async def _groups(ask: _Ask, name: bytes) -> None:
    async with _connected(await _coordinator(ask, name, _GROUP)) as it:
        answer = await it(_DESCRIBE_GROUPS, struct.pack(">i", 1) + name)
        answer.number("i")
        answer.refuse("group coordinator")


async def _transactions(ask: _Ask, name: bytes) -> None:
    async with _connected(await _coordinator(ask, name, _TRANSACTION)) as it:
        compact = bytes([len(name) - 1]) + name[2:]
        answer = await it(_DESCRIBE_TRANSACTIONS, b"\2" + compact + b"\0")
        answer.number("b"), answer.number("i"), answer.number("b")
        answer.refuse("transaction coordinator", _NO_SUCH_ID)


async def _coordinator(ask: _Ask, name: bytes, kind: int) -> int:
    answer = await ask(_FIND_COORDINATOR, name + struct.pack(">b", kind))
    answer.number("i")
    answer.refuse("coordinator")
    answer.text(), answer.number("i"), answer.text()
    return answer.number("i")


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[_Ask]:
    reader, writer = await asyncio.open_connection(HOST, port)

    async def ask(request: tuple[int, int], body: bytes) -> _Answer:
        header = struct.pack(">hhi", *request, 0) + _NOTHING
        if request == _DESCRIBE_TRANSACTIONS:
            header += b"\0"
        writer.write(_sized(header + body))
        length = int.from_bytes(await reader.readexactly(4), "big")
        return _Answer((await reader.readexactly(length))[4:])

    try:
        yield ask
    finally:
        writer.close()


def _sized(request: bytes) -> bytes:
    return struct.pack(">i", len(request)) + request


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
