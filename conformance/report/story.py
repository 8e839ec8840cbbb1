"""Tell a history step by step, so that a reader understands it without having read the suite."""

from __future__ import annotations

from collections.abc import Container, Iterator

from eventproof.conformance.history.record import History, Record

VERBS = ("ack", "nack", "reject", "extend")
OUTCOMES = {"ok": "confirmed", "rejected": "refused", "indeterminate": "outcome unknown"}
SILENT = frozenset({"next.invoke", "probe", "log.read", "end", "stall", "subscribe.invoke", "group.position"})


def story(history: History, marked: tuple[int, ...], told: Container[int] | None = None) -> list[str]:
    """The history as sentences. marked: record indexes of the violation, shown by an arrow. told: record
    indexes to tell, None for all."""
    teller = _Teller(history)
    return [
        f"{'→' if record.i in marked else ' '} {record.t / 1e9:9.3f} s  {sentence}"
        for record in history.records
        if told is None or record.i in told
        for sentence in teller.tell(record, always=record.i in marked)
    ]


class _Teller:
    """Remembers what a later record refers to."""

    def __init__(self, history: History) -> None:
        of_kind = {
            kind: [r for r in history.records if r.kind == kind]
            for kind in ("publish.invoke", "deliver", "subscribe.invoke")
        }
        self._calls = {r.call: r for r in of_kind["publish.invoke"]}
        self._deliveries = {r.delivery: r for r in of_kind["deliver"]}
        self._sessions = {r.session: r for r in of_kind["subscribe.invoke"]}
        self._probes = {r.call for r in history.records if r.kind == "probe"}

    def tell(self, record: Record, *, always: bool) -> Iterator[str]:
        """The sentence for a record, if it says something."""
        subject, _, outcome = record.kind.partition(".")
        if record.kind in SILENT and not always:
            return
        if subject == "publish":
            yield self._publish(record, outcome)
        elif subject in VERBS:
            yield self._settle(record, subject, outcome)
        elif subject in {"subscribe", "session", "next"}:
            yield self._session(record)
        else:
            yield from self._other(record)

    def _publish(self, record: Record, outcome: str) -> str:
        if outcome == "invoke":
            what = "probes with" if record.call in self._probes else "publishes"
            key = f", {record.key}" if record.key else ", no key"
            return f"{record.process} {what} {_name(record)} (call {record.call}{key}) to {record.topic}"
        call = self._calls.get(record.call)
        who = call.process if call else "somebody"
        if outcome == "ok":
            where = f" at position {record.position}" if record.position else ""
            again = " as a duplicate" if record.duplicate else ""
            return f"{who}: publish of call {record.call} confirmed{again}{where}"
        why = record.reason or record.error
        return f"{who}: publish of call {record.call} {OUTCOMES.get(outcome, outcome)} {why}".rstrip()

    def _settle(self, record: Record, verb: str, outcome: str) -> str:
        delivery = self._deliveries.get(record.delivery)
        who = delivery.process if delivery else "somebody"
        what = (
            f"{_name(delivery)} (delivery {record.delivery})" if delivery else f"delivery {record.delivery}"
        )
        if outcome == "invoke":
            delay = f" with a delay of {record.delay:g} s" if verb == "nack" and record.delay >= 0 else ""
            return f"{who} calls {verb} on {what}{delay}"
        reason = f" ({record.reason})" if record.reason else ""
        return f"{who}: {verb} of {what} {OUTCOMES.get(outcome, outcome)}{reason}"

    def _session(self, record: Record) -> str:
        session = self._sessions.get(record.session, record)
        what = {
            "subscribe.invoke": f"wants to join group {session.group}",
            "subscribe.ok": f"has joined group {session.group} (session {record.session})",
            "subscribe.rejected": f"may not join group {session.group} ({record.reason})",
            "subscribe.indeterminate": f"may have joined group {session.group}",
            "session.closed": f"leaves group {session.group} (session {record.session})",
            "session.lost": f"loses its session {record.session} of group {session.group}",
            "session.ended": f"sees its session {record.session} end without a word",
            "next.invoke": f"asks for the next event (session {record.session})",
        }
        return f"{session.process} {what.get(record.kind, record.kind)}"

    def _other(self, record: Record) -> Iterator[str]:
        if record.kind == "deliver":
            where = f", position {record.position}" if record.position else ""
            yield (
                f"{record.process} is handed {_name(record)} (call {record.call}, attempt {record.attempt},"
                f" delivery {record.delivery}{where})"
            )
        elif record.kind == "lease.lost":
            held = self._deliveries.get(record.delivery)
            yield f"{held.process if held else 'somebody'}: the lease of delivery {record.delivery} is lost"
        elif record.kind == "dead":
            yield (
                f"the dead letter of {_name(record)} (call {record.call}) for group {record.group} is read:"
                f" {record.reason} after {record.attempt} attempts"
            )
        elif record.kind == "drained":
            yield f"{record.group or 'the dead-letter topic'} of {record.topic} is drained"
        elif record.kind == "log.read":
            yield f"the log of {record.topic} holds {len(record.entries)} copies: calls {_calls(record)}"
        elif record.kind == "adapter.error":
            yield f"{record.process}: the adapter raised\n{record.error}"
        elif record.kind == "end":
            yield "the run ends"
        else:
            yield f"{record.kind} {record.group} {record.position}".rstrip()


def _name(record: Record | None) -> str:
    """The event's own id, as the scenario numbers it."""
    return record.event.partition(" ")[2] if record else "an event"


def _calls(record: Record) -> str:
    return ", ".join(str(entry.call) for entry in record.entries)
