"""Random small histories: well formed, with whatever a broken broker could do in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from eventproof.adapters.claims import Attempts, Claims, Deduplication, Ordering, Survives
from eventproof.conformance.history.record import History
from tests.conformance.histories import Story, claims, policy

WAITS = (0.02, 0.06, 1.0, 4.0, 4.95, 5.0, 9.8, 9.93, 10.0, 30.0)
KEYS = ("k", "k", "l", "")
OUTCOMES = ("ok", "ok", "ok", "rejected", "indeterminate")
VERBS = ("ack", "ack", "ack", "nack", "nack", "reject", "extend")
Step = tuple[int, int, int, int]


class Teller:
    """Turns drawn numbers into the next records of a story; a step that cannot be is left out."""

    def __init__(self, told: Story) -> None:
        self.told = told
        self.open_calls: list[int] = []
        self.asked: list[int] = []
        self.open_acts: list[tuple[str, int]] = []
        self.acts: dict[int, int] = {}

    def tell(self, step: Step) -> None:
        steps: tuple[Callable[[int, int, int], None], ...] = (
            self.invoke, self.invoke, self.publish, self.publish, self.complete, self.complete,
            self.join, self.next, self.next, self.hand, self.hand, self.handle, self.handle, self.handle,
            self.act, self.act, self.acted, self.acted, self.wait, self.end, self.fault, self.drained,
            self.dead, self.retry, self.retry, self.retry,
        )  # fmt: skip
        kind, a, b, c = step
        steps[kind % len(steps)](a, b, c)

    def invoke(self, a: int, b: int, c: int) -> None:
        calls = len(self.told.calls)
        event = 1 + c % calls if calls and c % 3 == 0 else 0
        self.open_calls.append(self.told.invoke(KEYS[a % 4], by="pq"[b % 2], event=event))

    def publish(self, a: int, b: int, c: int) -> None:
        self.invoke(a, b, c)
        self.told.outcome(self.open_calls.pop())

    def complete(self, a: int, b: int, c: int) -> None:
        if self.open_calls:
            call, kind = self.open_calls.pop(a % len(self.open_calls)), OUTCOMES[b % 5]
            self.told.outcome(
                call, kind, **({"duplicate": (False, True, None)[c % 3]} if kind == "ok" else {})
            )

    def join(self, a: int, b: int, c: int) -> None:
        if len(self.told.sessions) < 4:
            self.told.join("gh"[a % 2])

    def next(self, a: int, b: int, c: int) -> None:
        if self.told.sessions:
            session = 1 + a % len(self.told.sessions)
            self.told.next(session)
            self.asked = sorted({*self.asked, session})

    def hand(self, a: int, b: int, c: int) -> None:
        if self.asked and self.told.calls:
            session, call = self.asked.pop(a % len(self.asked)), 1 + b % len(self.told.calls)
            self.told.hand(session, call, **({"position": f"again {call}"} if c % 12 == 0 else {}))

    def handle(self, a: int, b: int, c: int) -> None:
        if self.told.sessions and self.told.calls:
            self.next(a, b, c)
            self.hand(self.asked.index(1 + a % len(self.told.sessions)), b, c)
            self.told.ack(self.told.number)

    def retry(self, a: int, b: int, c: int) -> None:
        """The last delivery is nacked and handed out again after a while, to any session."""
        if self.told.number:
            last = next(r for r in reversed(self.told.records) if r.kind == "deliver")
            self.told.nack(last.delivery, OUTCOMES[a % 5], delay=(-1.0, 0.0, 5.0, 5.0)[b % 4])
            self.wait(c, a, b)
            session = 1 + b % len(self.told.sessions)
            self.told.deliver(session, last.call, position=last.position)
            self.asked = [s for s in self.asked if s != session]

    def act(self, a: int, b: int, c: int) -> None:
        if self.told.number:
            verb, delivery = VERBS[a % len(VERBS)], 1 + b % self.told.number
            fields: dict[str, Any] = {"delay": (-1.0, 0.0, 5.0)[c % 3]} if verb == "nack" else {}
            self.told.record(f"{verb}.invoke", delivery=delivery, **fields)
            self.open_acts.append((verb, delivery))

    def acted(self, a: int, b: int, c: int) -> None:
        if self.open_acts:
            verb, delivery = self.open_acts.pop(a % len(self.open_acts))
            kind = OUTCOMES[b % 5]
            why = "lease-expired" if kind == "rejected" and c % 2 else ""
            self.told.record(f"{verb}.{kind}", delivery=delivery, reason=why)

    def wait(self, a: int, b: int, c: int) -> None:
        self.told.wait(WAITS[a % len(WAITS)])
        if b % 5 == 0:
            self.told.record("stall", numbers={"ns": 20_000_000})

    def end(self, a: int, b: int, c: int) -> None:
        if b % 3 == 0 and self.told.number:
            self.told.lose(1 + a % self.told.number)
        elif self.told.sessions:
            session = 1 + a % len(self.told.sessions)
            self.told.record("session.lost" if b % 2 else "session.closed", session=session)
            self.asked = [s for s in self.asked if s != session]

    def fault(self, a: int, b: int, c: int) -> None:
        if b % 4 == 0:
            self.told.record("broker.killed")
        elif b % 4 == 1:
            self.told.record("link.cut", process=f"c{1 + a % 4}")
        elif b % 4 == 2 and self.told.sessions:
            session = 1 + a % len(self.told.sessions)
            self.told.record("consumer.killing" if c % 2 else "consumer.killed", process=f"c{session}")
            self.asked = [s for s in self.asked if s != session] if not c % 2 else self.asked
        elif b % 4 == 3:
            self.told.record("broker.ready")

    def drained(self, a: int, b: int, c: int) -> None:
        self.told.drain("gh"[a % 2], pending=int(b % 4 == 0))

    def dead(self, a: int, b: int, c: int) -> None:
        if self.told.calls and b % 3 == 0:
            self.told.dead(1 + a % len(self.told.calls), "gh"[c % 2])


def pick(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def promises() -> st.SearchStrategy[Claims]:
    """Claims that change what the rules measure by."""
    return st.builds(
        claims,
        ack=pick("confirmed", "confirmed", "sent"),
        attempts=st.builds(Attempts, never_low=st.booleans()),
        backoff=pick("session", "durable"),
        ordering=st.builds(Ordering, scope=pick("key", "topic")),
        publish_dedup=st.builds(Deduplication, scope=pick("none", "key", "topic"), window=pick(5.0, 30.0)),
        survives=pick(
            Survives(),
            Survives(acks=("consumer-loss",), delays=("broker-kill",)),
            Survives(
                acks=("consumer-loss", "broker-kill"), messages=("broker-kill",), dedup=("broker-kill",)
            ),
        ),
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A history of up to some 150 records, two groups and four sessions. Steps are drawn as bytes: that is
    cheap, and each size class is met."""
    limit = draw(pick(None, 2))
    dead = "dead" if limit is not None else None
    told = Story(
        draw(promises()),
        g=policy(max_attempts=limit, dead_letter=dead, max_in_flight=draw(pick(1, 2)), backoff=(1.0, 4.0)),
        h=policy(start=draw(pick("earliest", "latest")), types=draw(pick((), ("a.*",), ("x",)))),
    )
    teller = Teller(told)
    teller.join(0, 0, 0)
    least = draw(pick(0, 5, 20, 40))
    drawn = draw(st.binary(min_size=4 * least, max_size=4 * (least + 10)))
    for kind, a, b, c in zip(*[iter(drawn)] * 4, strict=False):
        teller.tell((kind, a, b, c))
    return told.history()
