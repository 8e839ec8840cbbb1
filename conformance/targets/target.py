"""What the suite may ask of a broker beside the port: administration, counters, the log, the clock.

A module given to `--adapter` may define an object `target` with any of these; what it lacks is *not
checked*, or shown by other means (spec/conformance.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

from eventproof.adapters.port import Broker
from eventproof.conformance.history.record import LogEntry
from eventproof.conformance.targets.visit import Demand, Terms, Visit

Clock = Literal["virtual", "real"]


class Target(Protocol):
    """A broker under test, as our own targets give it in full.

    clock: `virtual` runs the scenarios on simulated time; only for brokers in this process.
    tick: seconds per scenario tick. max_payload: bytes of the largest encoded event that the broker takes,
    None if unbounded. options: given to the adapter beside those of the command line. These three are read
    when `start` or `visit` has been entered.
    """

    clock: Clock
    tick: float
    max_payload: int | None
    options: Mapping[str, Any]

    def start(self, url: str | None) -> AbstractAsyncContextManager[str]:
        """Bring the broker up (or attach to `url`), yield the URL to connect to, take it down."""
        ...

    async def provision(self, topic: str, *, partitions: int, window: float | None) -> None:
        """Create a topic; window: seconds of publish deduplication, None for the default."""
        ...

    async def remove(self, topics: Sequence[str]) -> None:
        """Delete topics and all that hangs on them."""
        ...

    async def idle(self, topic: str, group: str) -> Mapping[str, int]:
        """The broker's counters of one group: `pending` (not yet handed out), `in_flight` (handed out,
        not settled, delays included), `last` (grows with every stored copy)."""
        ...

    async def read_log(self, topic: str) -> Sequence[LogEntry]:
        """All copies that the topic stores now, read from the log itself."""
        ...

    async def positions(self, topic: str, group: str) -> Mapping[int, str]:
        """Per partition the position up to which everything is settled for the group."""
        ...

    async def restart(self) -> None:
        """Stop the broker in an orderly way and start it with the same data and address; returns when it can
        be used."""
        ...

    def kill(self) -> None:
        """End the broker at once, as a crash does (SIGKILL)."""
        ...

    async def revive(self) -> None:
        """Start it again after a kill, with the same data and address; returns when it can be used."""
        ...

    def freeze(self) -> None:
        """Let the broker stand still (SIGSTOP)."""
        ...

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        ...

    def sever(self, broker: Broker) -> None:
        """End a participant's connection without a word, as if its process were killed. Only where the broker
        is in this process: elsewhere a process is killed."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Versions of the broker and of its client library."""
        ...


class Host(Target, Protocol):
    """A target whose server may be somebody else's. Without these parts `start` is given the URL, topics have
    names that begin with the namespace, and what is not known beforehand is not checked."""

    def visit(self, visit: Visit) -> AbstractAsyncContextManager[str]:
        """Attach to the server in place of `start`, and write nothing; yield the URL to connect to."""
        ...

    async def preflight(self, visit: Visit, demand: Demand) -> Terms:
        """Whether the run can take place; writes nothing. Raises NotReady. demand: of one scenario."""
        ...

    async def present(self) -> Sequence[str]:
        """Topics of the visit's namespace that are there now."""
        ...
