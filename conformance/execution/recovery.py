"""How a broker is struck, and how it comes back: by what its target can do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from eventproof.conformance.scenario import Fault
from eventproof.conformance.targets.facilities import Facilities

Record = Callable[[str], None]
DOWN = 2  # ticks that a broker is away where the fault does not say


class Recovery:
    """Carries out the faults of a broker whose target can."""

    def __init__(self, facilities: Facilities) -> None:
        self._can = facilities

    def strike(self, fault: Fault, record: Record) -> None:
        """Do what happens at once, and record it."""
        if fault.do == "kill":
            assert self._can.kill is not None
            self._can.kill()
            record("broker.killed")
        elif fault.do == "freeze":
            assert self._can.freeze is not None
            self._can.freeze()
            record("broker.paused")
        else:
            record("broker.stopped")

    async def recover(self, fault: Fault, record: Record) -> None:
        """Bring it back, and record when it can be used."""
        if fault.do == "restart":
            assert self._can.restart is not None
            await self._can.restart()
            record("broker.ready")
            return
        await asyncio.sleep((DOWN if fault.ticks is None else fault.ticks) * self._can.tick)
        if fault.do == "kill":
            assert self._can.revive is not None
            await self._can.revive()
            record("broker.ready")
        else:
            assert self._can.thaw is not None
            self._can.thaw()
            record("broker.resumed")


def broker_faults(can: Facilities) -> frozenset[str]:
    """Names of the faults that the target can bring upon its broker."""
    found = {
        "broker-kill": can.kill and can.revive,
        "broker-pause": can.freeze and can.thaw,
        "broker-restart": can.restart,
    }
    names = {name for name, able in found.items() if able}
    return frozenset({*names, "in-flight"} if names else ())
