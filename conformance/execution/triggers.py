"""When the faults of a scenario are due: as the history says, never by a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from eventproof.conformance.history.record import Record
from eventproof.conformance.scenario import Fault

Strike = Callable[[Fault, str], None]


class Triggers:
    """Sees every record of a run, and lets each fault strike once, when its count is full.

    faults: each with the process that it befalls, "" for the broker. strike: is given both.
    """

    def __init__(self, faults: Sequence[tuple[Fault, str]], strike: Strike) -> None:
        self._strike = strike
        self._over = False
        self._owners: dict[int, str] = {}
        self._armed: list[_Armed] = [_Armed(fault, process) for fault, process in faults]

    def see(self, record: Record) -> None:
        """Count the record for the faults that wait for its kind."""
        if record.kind == "deliver":
            self._owners[record.delivery] = record.process
        owner = record.process or self._owners.get(record.delivery, "")
        for armed in tuple(self._armed):
            if record.kind == armed.fault.after and armed.process in {"", owner}:
                armed.left -= 1
                if not armed.left:
                    self._armed.remove(armed)
                    self._due(armed)

    def disarm(self) -> None:
        """Nothing strikes any more, what is some turns away neither."""
        self._over = True
        self._armed.clear()

    def _due(self, armed: _Armed) -> None:
        after_turns(armed.fault.turns, lambda: self._befall(armed))

    def _befall(self, armed: _Armed) -> None:
        if not self._over:
            self._strike(armed.fault, armed.process)


class _Armed:
    """A fault that waits. left: records until it is due."""

    def __init__(self, fault: Fault, process: str) -> None:
        self.fault = fault
        self.process = process
        self.left = fault.count


def after_turns(turns: int, act: Callable[[], None]) -> None:
    """Call it after so many turns of the running event loop; at once after none."""
    if not turns:
        act()
    else:
        asyncio.get_running_loop().call_soon(after_turns, turns - 1, act)
