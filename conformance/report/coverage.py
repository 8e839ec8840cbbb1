"""Whether the faults that a scenario plans befell it, and met what they are for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eventproof.conformance.history.record import History, Record
from eventproof.conformance.scenario import Fault, Scenario

SIGNS = {
    "consumer-loss": "consumer.killing",
    "consumer-pause": "consumer.paused",
    "broker-kill": "broker.killed",
    "broker-pause": "broker.paused",
    "broker-restart": "broker.stopped",
}
ENDS = ("ok", "rejected", "indeterminate")


class Befallen(NamedTuple):
    """One planned fault. struck: it came about. met: right after the settlement that it waited for; else with
    a copy in the consumer's hands, for longer than its lease if that was frozen, or with a call to the broker
    under way."""

    name: str
    struck: bool
    met: bool


def befallen(scenario: Scenario, history: History) -> Iterator[Befallen]:
    """The faults of a scenario itself; one of the broker that another scenario led is that one's."""
    for fault in scenario.faults:
        sign = _sign(fault, history)
        yield Befallen(fault.name, sign is not None, sign is not None and _met(fault, history, sign))


def _met(fault: Fault, history: History, sign: Record) -> bool:
    if fault.after in {"ack.ok", "nack.ok"}:
        return True
    return _under_way(history, sign) if fault.group is None else _held(fault, history, sign)


def _sign(fault: Fault, history: History) -> Record | None:
    process = "" if fault.group is None else f"{history.header.groups[fault.group].name}-c{fault.consumer}"
    kind = SIGNS[fault.name]
    return next((r for r in history.records if r.kind == kind and r.process == process), None)


def _before(history: History, sign: Record) -> Sequence[Record]:
    return history.records[: sign.i - 1]


def _under_way(history: History, sign: Record) -> bool:
    """Whether a call was invoked before the fault and not completed by then."""
    open_calls: set[tuple[str, int, int]] = set()
    for record in _before(history, sign):
        verb, _, stage = record.kind.partition(".")
        name = (verb, record.call, record.delivery)
        if stage == "invoke" and verb in {"publish", "ack", "nack", "reject", "extend"}:
            open_calls.add(name)
        elif stage in ENDS:
            open_calls.discard(name)
    return bool(open_calls)


def _held(fault: Fault, history: History, sign: Record) -> bool:
    """Whether the consumer had a copy in its hands; and stood still until its lease was surely over."""
    held: set[int] = set()
    for record in _before(history, sign):
        if record.kind == "deliver" and record.process == sign.process:
            held.add(record.delivery)
        elif record.kind in {"ack.ok", "nack.ok", "reject.ok", "lease.lost"}:
            held.discard(record.delivery)
    if fault.do == "kill" or not held:
        return bool(held)
    lease = history.header.groups[fault.group or 0].policy.ack_timeout
    ends = (r for r in history.records if r.kind == "consumer.resumed" and r.process == sign.process)
    end = next((r for r in ends if r.i > sign.i), None)
    return end is not None and end.t - sign.t >= int(lease * 1_000_000_000)
