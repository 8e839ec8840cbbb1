"""What happened, as the bare records tell it, for the definitions read aloud."""

from __future__ import annotations

from itertools import pairwise

from eventproof.conformance.history.record import GroupInfo, History, Record

NS = 1_000_000_000
KILL = ("consumer.killing", "consumer.killed")


class Told:
    """Searches the records, as slow as it likes to be."""

    def __init__(self, history: History) -> None:
        self.header = history.header
        self.claims = history.header.claims
        self.records = list(history.records)
        self.slack = int(history.header.slack * NS)

    def kind(self, *kinds: str) -> list[Record]:
        return [r for r in self.records if r.kind in kinds]

    def outcome(self, invoke: Record) -> Record | None:
        """The completion of a publish."""
        done = self.kind("publish.ok", "publish.rejected", "publish.indeterminate")
        return next((r for r in done if r.call == invoke.call), None)

    def calls(self) -> list[Record]:
        return self.kind("publish.invoke")

    def call(self, number: int) -> Record:
        return next(r for r in self.calls() if r.call == number)

    def is_ok(self, invoke: Record) -> bool:
        done = self.outcome(invoke)
        return done is not None and done.kind == "publish.ok"

    def is_rejected(self, invoke: Record) -> bool:
        done = self.outcome(invoke)
        return done is not None and done.kind == "publish.rejected"

    def is_duplicate(self, invoke: Record) -> bool:
        done = self.outcome(invoke)
        return done is not None and done.duplicate is True

    def groups(self) -> list[GroupInfo]:
        return list(self.header.groups)

    def deliveries(self, group: str, call: int | None = None) -> list[Record]:
        return [r for r in self.kind("deliver") if r.group == group and call in {None, r.call}]

    def copies(self, group: str) -> list[list[Record]]:
        """The deliveries of each copy to the group."""
        names = {(r.call, r.position) for r in self.deliveries(group)}
        return [[r for r in self.deliveries(group) if (r.call, r.position) == name] for name in sorted(names)]

    def acts(self, d: Record) -> list[tuple[str, Record, Record | None]]:
        """(verb, invoke, completion): the n-th completion of a verb belongs to its n-th invoke."""
        found: list[tuple[str, Record, Record | None]] = []
        for verb in ("ack", "nack", "reject", "extend"):
            mine = [r for r in self.records if r.delivery == d.delivery and r.kind.startswith(f"{verb}.")]
            done = [r for r in mine if r.kind != f"{verb}.invoke"]
            invokes = [r for r in mine if r.kind == f"{verb}.invoke"]
            found += [(verb, r, done[n] if n < len(done) else None) for n, r in enumerate(invokes)]
        return sorted(found, key=lambda act: act[1].i)

    @staticmethod
    def how(done: Record | None) -> str:
        return "open" if done is None else done.kind.split(".")[1]

    def process(self, session: int) -> str:
        return next(r for r in self.kind("subscribe.invoke") if r.session == session).process

    def session_ends(self, session: int) -> list[Record]:
        ends = [r for r in self.kind("session.closed", "session.lost") if r.session == session]
        ends += [r for r in self.kind("consumer.killed") if r.process == self.process(session)]
        return sorted((r for r in ends if r.i > self.joined(session)), key=lambda r: r.i)[:1]

    def joined(self, session: int) -> int:
        return next(r for r in self.kind("subscribe.invoke") if r.session == session).i

    def faults(self, process: str) -> list[Record]:
        cuts = [r for r in self.kind("link.cut", "consumer.killing") if r.process in {"", process}]
        return self.kind("broker.killed", "broker.paused") + cuts

    def dying(self, d: Record, i: int) -> bool:
        """Whether the process of a delivery was being killed at that moment."""
        mine = [r for r in self.kind(*KILL) if r.process == self.process(d.session)]
        pairs = [(a, b) for a, b in pairwise(mine) if (a.kind, b.kind) == KILL]
        return any(a.i < i < b.i for a, b in pairs)

    def stalled(self, start: int, end: int) -> int:
        return sum(max(0, min(end, r.t) - max(start, r.t - r.numbers["ns"])) for r in self.kind("stall"))

    def kills_not_survived(self, state: tuple[str, ...]) -> list[Record]:
        return [] if "broker-kill" in state else self.kind("broker.killed")

    def outages(self) -> list[tuple[Record, Record]]:
        """The faults of the broker and of every link, each with its end; without one it is a moment."""
        faults = [r for r in self.kind("broker.killed", "broker.paused", "link.cut") if not r.process]
        heals = self.kind("broker.ready", "broker.resumed", "link.healed")
        return [(fault, next((r for r in heals if r.i > fault.i), fault)) for fault in faults]
