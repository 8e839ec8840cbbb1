"""Faults of a run: between which moments they lie, and which state each of them may have taken, which is what
`survives` claims decide.

A fault is uncovered for a state (messages, acks, attempts, delays, dedup) when the claims do not say that
the state survives it. A pause loses nothing; it only ends sessions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Final, Literal, get_args

from eventproof.adapters.claims import Fault, Survives
from eventproof.conformance.history.entities import NEVER, Call
from eventproof.conformance.history.record import Record

State = Literal["messages", "acks", "attempts", "delays", "dedup"]
NAMES: Final = frozenset(get_args(Fault))
KILL: Final = "broker-kill"
CALLED: Final = {
    "broker.paused": "broker-pause",
    "broker.stopped": "broker-restart",
    "link.cut": "link-cut",
    "consumer.killing": "consumer-loss",
    "consumer.killed": "consumer-loss",
    "consumer.paused": "consumer-pause",
}
IN_FLIGHT: Final = "in-flight"


class Outage:
    """A broker that is away, from a moment i and a time t (ns) until others; for a moment alone if no record
    tells that it came back. The same of every link to it."""

    __slots__ = ("end", "i", "t", "until")

    def __init__(self, i: int, t: int) -> None:
        self.i = self.end = i
        self.t = self.until = t


def after(moments: list[int], i: int) -> int:
    """The first of the sorted moments later than i, or NEVER."""
    at = bisect_right(moments, i)
    return moments[at] if at < len(moments) else NEVER


def between(moments: list[int], low: int, high: int) -> int:
    """How many of the sorted moments lie between low and high, both excluded."""
    return max(0, bisect_right(moments, high - 1) - bisect_right(moments, low))


def _befallen(record: Record) -> tuple[str, str]:
    """What a fault or its end is about: the broker, or some link or consumer and its process."""
    return record.kind.partition(".")[0], record.process


class Faults:
    """breaks: faults that end every session; cuts: by process, faults that end its sessions.
    all: both, with pauses of consumers left out. named: by process, and "" for the broker and
    every link, the moments of all faults by their name. heals: (moment, ns) of their ends; changed: by topic,
    the moments of topic.changed. left: when what is not healed yet began, by what it befell."""

    def __init__(self, survives: Survives) -> None:
        self._survives = survives
        self._kills: list[tuple[int, str]] = []
        self.breaks: list[int] = []
        self.cuts: defaultdict[str, list[int]] = defaultdict(list)
        self.all: list[int] = []
        self.named: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.changed: defaultdict[str, list[int]] = defaultdict(list)
        self.heals: list[tuple[int, int]] = []
        self.left: dict[tuple[str, str], int] = {}
        self.outages: list[Outage] = []
        self._dying: dict[str, Outage] = {}

    def add(self, record: Record) -> None:
        """Note a broker or link fault."""
        name = self.strike(record)
        self.all.append(record.i)
        self.pause(record)
        if record.kind == "link.cut" and record.process:
            self.cuts[record.process].append(record.i)
            return
        self.breaks.append(record.i)
        self.outages.append(Outage(record.i, record.t))
        if record.kind in {"broker.killed", "broker.stopped"}:
            self._kills.append((record.i, name if name in NAMES else KILL))

    def strike(self, record: Record) -> str:
        """Note any fault under its name, and return that."""
        name = CALLED.get(record.kind) or (record.reason if record.reason in NAMES else KILL)
        self.named[record.process][name].append(record.i)
        return name

    def dying(self, record: Record) -> None:
        """Note that a process is being killed: the broker may know, and its last words are not read yet."""
        self.strike(record)
        self.cuts[record.process].append(record.i)
        self._dying[record.process] = Outage(record.i, record.t)

    def died(self, record: Record) -> None:
        """Note that nothing more comes from a process that was killed."""
        self.forget(record)
        outage = self._dying.get(record.process)
        if outage is None or outage.end != outage.i:
            self.strike(record)
        else:
            outage.end = record.i

    def befell(self, start: int, end: int, process: str) -> bool:
        """Whether the broker was away, or the process was being killed, at some moment between the two."""
        dying = self._dying.get(process)
        spans = (*self.outages, *((dying,) if dying is not None else ()))
        return any(span.i < end and span.end > start for span in spans)

    def lie(self, start: int, end: int, process: str = "") -> Sequence[str]:
        """Names of the faults between two moments: of the broker, and of the process if one is named."""
        if not self.named:
            return ()
        of_all = (self.named[one] for one in dict.fromkeys(("", process)) if one in self.named)
        return [name for of in of_all for name, moments in of.items() if between(moments, start, end)]

    def during(self, call: Call) -> Sequence[str]:
        """`in-flight` if a fault of the broker lay between the invoke and the completion of a publish."""
        broken = self.breaks and between(self.breaks, call.i, call.ended if call.done else NEVER)
        return (IN_FLIGHT,) if broken else ()

    def pause(self, record: Record) -> None:
        """Note that a broker, a link or a consumer is out of order from here on."""
        self.left.setdefault(_befallen(record), record.i)

    def heal(self, record: Record) -> None:
        """Note the end of a fault: of each one of its kind if it names no process."""
        self.heals.append((record.i, record.t))
        for outage in self.outages if not record.process else ():
            if outage.end == outage.i:
                outage.end, outage.until = record.i, record.t
        self.forget(record)

    def forget(self, record: Record) -> None:
        """Note that a fault is left no more, without a new start: a consumer that stood still is gone."""
        kind, process = _befallen(record)
        healed = [one for one in self.left if one[0] == kind and (not process or one[1] == process)]
        for one in healed:
            del self.left[one]

    @property
    def lasting(self) -> int:
        """When the first of the faults began that were never healed, or NEVER."""
        return min(self.left.values(), default=NEVER)

    def in_outage(self, i: int) -> bool:
        """Whether the broker was away at that moment."""
        return any(outage.i < i < outage.end for outage in self.outages)

    def away(self, start: int, end: int) -> int:
        """ns for which the broker was away between two times: it does nothing then, and forgets nothing."""
        return sum(max(0, min(o.until, end) - max(o.t, start)) for o in self.outages)

    def forgotten(self, state: State, i: int) -> int:
        """The last moment up to which the state may be gone at i, 0 for none: the end of an outage that it
        need not survive; while that lasts i itself, as the broker may be back before the record tells."""
        gone = frozenset(self.uncovered(state))
        return max((min(o.end, i) for o in self.outages if o.i in gone and o.i < i), default=0)

    def covers_loss(self, state: State) -> bool:
        """Whether the state survives the loss of a consumer."""
        return "consumer-loss" in getattr(self._survives, state)

    @cached_property
    def _uncovered(self) -> dict[str, list[int]]:
        return {
            state: [i for i, cause in self._kills if cause not in getattr(self._survives, state)]
            for state in get_args(State)
        }

    def uncovered(self, state: State) -> list[int]:
        """Moments of the broker faults that the state need not survive."""
        return self._uncovered[state]

    def ends(self, process: str, i: int) -> int:
        """The first fault after i that ends the process's sessions at the broker; i itself in an outage, and
        while the process is dying: what is handed out then was fetched before it."""
        dying = self._dying.get(process)
        if self.in_outage(i) or (dying is not None and dying.i < i < dying.end):
            return i
        first = after(self.breaks, i) if self.breaks else NEVER
        return min(first, after(self.cuts[process], i)) if process in self.cuts else first
