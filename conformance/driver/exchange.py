"""Requests to one driver process and its answers, matched by their ids."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

from eventproof.adapters.delivery import Lost
from eventproof.adapters.errors import Indeterminate
from eventproof.conformance.driver import lines
from eventproof.conformance.driver.child import Child
from eventproof.conformance.driver.lines import Answer, Malformed, Request

Make: TypeAlias = Callable[[int], Request]
Told: TypeAlias = Callable[[Answer | Exception], None]


class DriverFailed(Exception):
    """The driver ended by itself, or wrote what the protocol does not have: an error of the adapter, and no
    outcome. problem: in one sentence. tail: the end of its standard error."""

    def __init__(self, problem: str, tail: str = "") -> None:
        super().__init__(problem, tail)
        self.problem = problem
        self.tail = tail

    def __str__(self) -> str:
        said = f"at the end of its standard error:\n{self.tail}\n" if self.tail else ""
        return f"{said}the driver {self.problem}"


class Gone(Indeterminate):
    """The suite killed the process, or closed it, before it answered."""

    def __init__(self) -> None:
        super().__init__("the driver's process was ended before it answered")


class Exchange:
    """Every request that is open, and how each of them ends: by its answer, with the process, or never.

    numbers: of connections and subscriptions. leases: by the number of their delivery. told: whether somebody
    has heard that it is over.
    """

    def __init__(self) -> None:
        self.numbers = count(1)
        self.leases: dict[int, Lost] = {}
        self.told = False
        self._ids = count(1)
        self._open: dict[int, tuple[Request, Told]] = {}
        self._handed: set[int] = set()
        self._child: Child | None = None
        self._end: Callable[[], Exception] | None = None

    def attach(self, child: Child) -> None:
        """To the process that is asked from now on."""
        self._child = child

    def ask(self, make: Make, told: Told) -> None:
        """Send a request, made with its id. told: called once, with its answer or with how the process ended;
        at once, and nothing is sent, if it has ended already."""
        assert self._child is not None
        if self._end is not None:
            self.told = True
            told(self._end())
            return
        request = make(next(self._ids))
        line = lines.encode(request)
        self._open[request.id] = request, told
        self._child.write(line)

    async def call(self, make: Make) -> Answer:
        """Send a request and wait for its answer. A wait that is cancelled takes nothing back.

        Raises Gone, DriverFailed.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.ask(make, lambda told: _resolve(future, told))
        return await future

    def hand_out(self, delivered: lines.Delivered) -> Lost:
        """The lease of a new delivery. Raises Malformed if there was one of its number."""
        number = delivered.number
        if number in self._handed:
            raise Malformed(f"a delivery number for the second time ({number})", bytes(delivered.event))
        self._handed.add(number)
        return self.leases.setdefault(number, Lost())

    @property
    def over(self) -> bool:
        """Whether no request is answered any more."""
        return self._end is not None

    def check(self) -> None:
        """Raises DriverFailed if that is how it ended."""
        if self._end is not None and isinstance(end := self._end(), DriverFailed):
            raise end

    # What the child calls.

    def line(self, line: bytes) -> None:
        number = lines.answered(line)
        if number is None:
            self._notice(line)
        elif number not in self._open:
            raise Malformed(f"an answer to no open request (id {number})", line)
        else:
            request, told = self._open[number]
            told(lines.answer(line, request))
            del self._open[number]  # not before: who is told something malformed is told of the end instead

    def _notice(self, line: bytes) -> None:
        number = lines.notice(line).delivery
        if number not in self._handed:
            raise Malformed(f"a notice of a delivery that was not handed out (number {number})", line)
        if number in self.leases:
            self.leases[number].set()

    def malformed(self, problem: Malformed) -> None:
        self._finish(f"wrote {problem}")

    def gone(self, problem: str | None) -> None:
        self._finish(problem)

    def _finish(self, problem: str | None) -> None:
        """The first end counts: what was malformed is killed, and ends again."""
        if self._end is None:
            tail = "" if self._child is None else self._child.tail
            self._end = Gone if problem is None else lambda: DriverFailed(problem, tail)
        opened, self._open = self._open, {}
        self.told = self.told or bool(opened)
        for _, told in opened.values():
            told(self._end())


def _resolve(future: asyncio.Future[Answer], told: Answer | Exception) -> None:
    if future.done():  # whoever asked does not wait any more
        return
    if isinstance(told, Exception):
        future.set_exception(told)
    else:
        future.set_result(told)
