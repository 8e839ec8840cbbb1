"""A memory broker's group as one flat list, every question answered by looking through all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

LEASE, BACKOFF, MOST, WINDOW, ROOM = 10.5, (2.25, 5.25), 3, 20.75, 2  # never due when something is done


@dataclass(eq=False)
class Entry:
    """One copy. state: ready, out, delayed or done. due: when a lease or a delay ends."""

    id: str
    lane: object
    state: str = "ready"
    due: float = 0
    attempt: int = 0
    holder: int = -1


@dataclass
class Handed:
    """One hand-out. verb: the one that settled it. tried: one whose outcome is not known, as the session was
    severed by then."""

    entry: Entry
    attempt: int
    session: int
    verb: str = ""
    tried: str = ""
    severed: bool = False


@dataclass
class Model:
    """What a group of two sessions must do. dead: id and reason of each dead letter."""

    entries: list[Entry] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    dead: list[tuple[str, str]] = field(default_factory=list)
    stored: dict[str, float] = field(default_factory=dict)

    def is_duplicate(self, name: str, now: float) -> bool:
        return name in self.stored and now - self.stored[name] < WINDOW

    def store(self, name: str, lane: object, now: float) -> None:
        self.stored[name] = now
        self.entries.append(Entry(name, lane))

    def pass_time(self, now: float) -> None:
        for entry in self.entries:
            if entry.due <= now and entry.state == "out":
                self.fail(entry)
            elif entry.due <= now and entry.state == "delayed":
                entry.state = "ready"

    def fail(self, entry: Entry) -> None:
        if entry.attempt >= MOST:
            self.bury(entry, "attempts")
        else:
            entry.state = "ready"

    def bury(self, entry: Entry, reason: str) -> None:
        entry.state = "done"
        self.dead.append((entry.id, reason))

    def held(self, session: int) -> int:
        return sum(entry.state == "out" and entry.holder == session for entry in self.entries)

    def due(self, session: int) -> list[Entry]:
        """What the session may be given now: the first of its lane that is not done, if it is ready."""
        if self.held(session) >= ROOM:
            return []
        heads: dict[object, Entry] = {}
        for entry in self.entries:
            if entry.state != "done":
                heads.setdefault(entry.lane, entry)
        return [entry for entry in heads.values() if entry.state == "ready"]

    def hand_out(self, entry: Entry, session: int, now: float) -> None:
        entry.state, entry.holder, entry.due = "out", session, now + LEASE
        entry.attempt += 1
        self.handed.append(Handed(entry, entry.attempt, session))

    def settle(self, handed: Handed, verb: str, delay: float | None, now: float) -> str:
        """What the verb raises, "" for nothing."""
        entry = handed.entry
        if handed.verb:
            return "" if handed.verb == verb else "AlreadySettled"
        if handed.tried and verb not in {handed.tried, "extend"}:
            return "AlreadySettled"
        if entry.state != "out" or entry.attempt != handed.attempt:
            return "LeaseExpired"
        if handed.severed:
            return self.in_doubt(handed, verb)
        if verb == "extend":
            entry.due = now + LEASE
            return ""
        handed.verb = verb
        if verb == "ack":
            entry.state = "done"
        elif verb == "reject":
            self.bury(entry, "rejected")
        elif entry.attempt >= MOST:
            self.bury(entry, "attempts")
        else:
            wait = BACKOFF[entry.attempt - 1] if delay is None else delay
            entry.state, entry.due = "delayed", now + wait
        return ""

    def in_doubt(self, handed: Handed, verb: str) -> str:
        if verb == "extend":
            return "AlreadySettled" if handed.tried else "Indeterminate"
        handed.tried = verb
        return "Indeterminate"

    def sever(self, session: int) -> None:
        for handed in self.handed:
            handed.severed |= handed.session == session
        for entry in self.entries:
            entry.holder = -1 if entry.holder == session else entry.holder

    def kill(self) -> None:
        for entry in self.entries:
            if entry.state == "out":
                self.fail(entry)

    def leave(self, session: int) -> None:
        for entry in self.entries:
            if entry.state == "out" and entry.holder == session:
                self.fail(entry)

    @property
    def counters(self) -> dict[str, int]:
        states = [entry.state for entry in self.entries]
        out = states.count("out") + states.count("delayed")
        return {"pending": states.count("ready"), "in_flight": out, "last": len(states)}
