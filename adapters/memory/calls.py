"""The way of a call to the memory broker and back, and what waits while the broker does not serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Literal, TypeVar
from zlib import crc32

from eventproof.adapters.errors import EventproofError, Indeterminate
from eventproof.adapters.memory.state import Group, Line, Slot
from eventproof.schemas.event import Event

PATIENCE = 30.0  # seconds after which a connection gives up a call that is not answered
Verb = Literal["publish", "subscribe", "ack", "nack", "reject", "extend"]
R = TypeVar("R")


class Call(Generic[R]):
    """One call on its way to its step. about: its event, or the name of its group. turn: what it waits for
    at a broker that does not serve.

    end: `answered` or `doubt` if the broker or the participant ended first, `unread` if the caller gave up
    and a broker that stands still has it before itself. done: it took its step in place of its caller.
    """

    turn: asyncio.Future[bool] | None = None
    end: Literal["", "answered", "doubt", "unread"] = ""
    done = False
    result: R | None = None
    error: EventproofError | None = None

    def __init__(self, line: Line, verb: Verb, about: Event | str, step: Callable[[], R]) -> None:
        self.line = line
        self.verb = verb
        self.about = about
        self.step = step

    @property
    def name(self) -> str:
        """The id of its event, or the name of its group."""
        return self.about if isinstance(self.about, str) else self.about.id

    def carry_out(self) -> None:
        """Take the step in place of the caller, who is told of it later or never."""
        try:
            self.result = self.step()
            self.done = True
        except EventproofError as refused:
            self.error = refused

    def release(self, served: bool) -> None:
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(served)


class Calls:
    """Lets calls and timers through while the broker serves, and keeps them in their order while it does not.

    calls: on their way, as invoked. overdue: by slot, what fell due meanwhile. alive: a broker that does not
    serve stands still, or is down.
    """

    def __init__(self) -> None:
        self.serves = True
        self.alive = True
        self.calls: dict[Call[Any], None] = {}
        self.overdue: dict[Slot, Callable[[], None]] = {}

    async def call(self, line: Line, verb: Verb, about: Event | str, step: Callable[[], R]) -> R:
        """The answer to a call. Raises Indeterminate, and what the step raises."""
        if line.cut:
            raise Indeterminate("the participant is gone")
        call = Call(line, verb, about, step)
        self.calls[call] = None
        try:
            if self.serves:
                await (asyncio.sleep(0) if isinstance(about, str) else self.travel(about))
            if not (self.serves or call.end):
                await self.stand_by(call)
        finally:
            if call.end != "unread":
                del self.calls[call]
        return self.told(call) if call.end else step()

    async def travel(self, event: Event) -> None:  # noqa: ARG002 - a step that brokers get wrong
        """The way of a call about an event to the broker: others get a turn."""
        await asyncio.sleep(0)

    async def stand_by(self, call: Call[Any]) -> None:
        """Wait until the broker serves again: who came first goes first. Raises Indeterminate."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(PATIENCE, call.release, False)
        try:
            while not (self.serves or call.end):
                call.turn = loop.create_future()
                if not await call.turn:
                    self.give_up(call)
        finally:
            timer.cancel()

    def give_up(self, call: Call[Any]) -> None:
        if self.alive and self.arrives(call):
            call.end = "unread"
        raise Indeterminate(f"no answer to the {call.verb} within {PATIENCE:g} s")

    # calls whose answer is lost

    def arrives(self, call: Call[Any]) -> bool:
        """Whether a call took its step whose answer is lost: for every other one, and always for the same."""
        return crc32(f"{call.verb} {call.name}".encode()) % 2 == 0

    def overtake(self, call: Call[Any]) -> None:
        """The broker or the participant ends with the call on its way."""
        if call.end:
            return
        if call.turn is None and self.arrives(call):
            call.carry_out()
        call.end = "doubt"
        call.release(True)

    def answer(self, call: Call[Any]) -> None:
        """The broker ends, and lets no caller wait."""
        if not call.end:
            call.carry_out()
            call.end = "answered"
            call.release(True)

    def take_unread(self) -> list[Call[Any]]:
        """What nobody waits for any more, in its order."""
        unread = [call for call in self.calls if call.end == "unread"]
        for call in unread:
            del self.calls[call]
        return unread

    def told(self, call: Call[Any]) -> Any:
        """The answer to a call that did not reach its step by itself."""
        if call.line.cut:
            raise Indeterminate("the participant is gone")
        if call.end == "doubt":
            return self.doubt(call)
        if call.error is not None:
            raise call.error
        return call.result

    def doubt(self, call: Call[Any]) -> Any:
        raise Indeterminate(f"the connection was lost before the {call.verb} was answered")

    # timers

    def later(
        self, delay: float, act: Callable[..., None], group: Group, slot: Slot, *more: Any
    ) -> asyncio.TimerHandle:
        """Act on the slot when it is due, or when the broker serves again."""
        return asyncio.get_running_loop().call_later(delay, self.due, act, group, slot, *more)

    def due(self, act: Callable[..., None], group: Group, slot: Slot, *more: Any) -> None:
        if self.serves:
            act(group, slot, *more)
        else:
            self.overdue[slot] = partial(act, group, slot, *more)

    def serve(self) -> None:
        """Go on: with what fell due, with what nobody waits for any more, then with the calls that wait."""
        self.serves = True
        overdue, self.overdue = self.overdue, {}
        for act in overdue.values():
            act()
        for call in self.take_unread():
            call.carry_out()
        for call in self.calls:
            call.release(True)
