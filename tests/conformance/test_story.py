"""A history told in sentences, and the report on the terminal: text stays text."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console, RenderableType

from eventproof.adapters.claims import Claims
from eventproof.conformance.history.record import Header, History, LogEntry, Record
from eventproof.conformance.report import table
from eventproof.conformance.report.report import Counterexample, Counts, Report, Together
from eventproof.conformance.report.story import SILENT, VERBS, story
from eventproof.conformance.rules.rule import Violation
from eventproof.conformance.verdict import Verdict

MARKUP = "[red]bold[/red] [link=x]"
EVERY_KIND = (
    *(f"publish.{step}" for step in ("invoke", "ok", "rejected", "indeterminate", "raw")),
    *(f"subscribe.{step}" for step in ("invoke", "ok", "rejected", "indeterminate")),
    *(f"{verb}.{end}" for verb in VERBS for end in ("invoke", "ok", "rejected", "indeterminate")),
    "next.invoke", "deliver", "lease.lost", "session.closed", "session.lost", "session.ended",
    "consumer.killing", "consumer.killed", "consumer.paused", "consumer.resumed",
    "broker.killed", "broker.stopped", "broker.paused",
    "broker.resumed", "broker.ready", "link.cut", "link.healed", "topic.changed", "group.deleted",
    "group.position", "dead", "probe", "drained", "log.read", "stall", "adapter.error", "end",
)  # fmt: skip


def history(*records: Record) -> History:
    return History(Header(claims=Claims()), list(records))


def record(i: int, kind: str, **fields: object) -> Record:
    about = {
        "process": "p0", "topic": "t", "group": "g", "session": 1, "call": 1, "event": "s event-1",
        "delivery": 1, "attempt": 2, "position": "7", "reason": "why", "error": "what", **fields,
    }  # fmt: skip
    return Record(i=i, t=i * 1_000_000_000, kind=kind, **about)  # type: ignore[arg-type]


def printed(what: RenderableType, width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width, highlight=False).print(what, crop=False)
    return out.getvalue()


def told(*records: Record, marked: tuple[int, ...] = ()) -> list[str]:
    return [line.partition(" s  ")[2] for line in story(history(*records), marked)]


# every record has a sentence


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_record_has_a_sentence_when_it_is_marked(kind: str) -> None:
    lines = story(history(record(1, kind)), marked=(1,))
    assert len(lines) == 1
    assert lines[0].startswith("→     1.000 s  ")
    sentence = lines[0].partition(" s  ")[2]
    assert len(sentence.split()) >= 2 or kind.split(".", maxsplit=1)[0] in sentence


@pytest.mark.parametrize(
    "kind", [kind for kind in EVERY_KIND if "." not in kind or kind.endswith((".ok", ".invoke"))]
)
def test_what_refers_to_nothing_known_still_has_a_sentence(kind: str) -> None:
    assert story(history(Record(i=1, t=0, kind=kind)), marked=(1,))


@pytest.mark.parametrize("kind", sorted(SILENT))
def test_what_says_nothing_is_left_out_unless_it_is_marked(kind: str) -> None:
    assert story(history(record(1, kind)), marked=()) == []


def test_a_story_reads_as_one() -> None:
    lines = told(
        record(1, "subscribe.invoke", process="c1"),
        record(2, "subscribe.ok", process=""),
        record(3, "publish.invoke", key="key-1"),
        record(4, "publish.ok"),
        record(5, "deliver", process="c1", attempt=1),
        record(6, "nack.invoke", delay=20.0),
        record(7, "nack.rejected", reason="lease-expired"),
        record(8, "lease.lost"),
        record(9, "dead", reason="attempts", attempt=3),
        record(10, "drained"),
    )
    assert lines == [
        "c1 has joined group g (session 1)",
        "p0 publishes event-1 (call 1, key-1) to t",
        "p0: publish of call 1 confirmed at position 7",
        "c1 is handed event-1 (call 1, attempt 1, delivery 1, position 7)",
        "c1 calls nack on event-1 (delivery 1) with a delay of 20 s",
        "c1: nack of event-1 (delivery 1) refused (lease-expired)",
        "c1: the lease of delivery 1 is lost",
        "the dead letter of event-1 (call 1) for group g is read: attempts after 3 attempts",
        "g of t is drained",
    ]


def test_a_probe_a_duplicate_and_an_unknown_outcome_are_told_apart() -> None:
    lines = told(
        record(1, "publish.invoke"),
        record(2, "probe"),
        record(3, "publish.ok", duplicate=True),
        record(4, "publish.indeterminate", reason=""),
    )
    assert lines[0].startswith("p0 probes with event-1")
    assert "confirmed as a duplicate" in lines[1]
    assert lines[2] == "p0: publish of call 1 outcome unknown what"


def test_the_log_names_its_calls() -> None:
    log = record(1, "log.read", entries=[LogEntry(3, "0"), LogEntry(4, "1")])
    assert told(log, marked=(1,)) == ["the log of t holds 2 copies: calls 3, 4"]


# text is text


def test_text_that_looks_like_markup_is_printed_as_it_is() -> None:
    lines = story(
        history(
            record(1, "publish.invoke", event=f"s {MARKUP}", key=MARKUP, process=MARKUP),
            record(2, "adapter.error", error=f"Traceback\n  {MARKUP}"),
        ),
        marked=(1,),
    )
    verdict = Verdict(
        requirement="XXX-001", title=MARKUP, level="MUST", profile="core", state="fail", exercised=1,
        minimum=1, evidence=MARKUP,
    )  # fmt: skip
    violation = Violation(code="B2", message=f"Lost {MARKUP}.", records=(1,))
    text = printed(table.violations(verdict, [violation], history(record(1, "publish.invoke", key=MARKUP))))
    assert sum(line.count(MARKUP) for line in lines) == 4
    assert text.count(MARKUP) == 4


def report(**changes: object) -> Report:
    verdict = Verdict(
        requirement="XXX-001", title=f"Title {MARKUP}", level="MUST", profile="core", state="fail",
        exercised=1, minimum=1, violations=2, void=3, evidence=f"B2 {MARKUP}",
    )  # fmt: skip
    example = Counterexample(
        anomaly="B2", requirements=("XXX-001",), violation=Violation(code="B2", message=f"Lost {MARKUP}."),
        scenario=5, original="o.json", minimal="counterexamples/B2/scenarios/minimal.json", history="h.jsonl",
        operations=2, shown=9, reruns=10, story=(f"→     1.000 s  {MARKUP} {'word ' * 40}end",),
    )  # fmt: skip
    fields = {
        "target": "memory", "tier": "core", "seed": 1, "started": "2026", "seconds": 1.5, "versions": {},
        "options": {}, "claims": Claims(), "counts": Counts(scenarios=7), "profiles": {"core": "failed"},
        "verdicts": (verdict,), "counterexamples": (example,), **changes,
    }  # fmt: skip
    return Report(**fields)  # type: ignore[arg-type]


def test_a_report_is_rendered_with_markup_as_text_and_long_lines_whole() -> None:
    folder = Path("a long folder/" + "name/" * 20)
    text = printed(table.render(report(), folder, "--adapter 'my file.py:connect' --option a=b"))
    assert text.count(MARKUP) >= 2
    assert any(line.startswith("  →     1.000 s") and line.endswith("word end") for line in text.splitlines())
    replay = next(line for line in text.splitlines() if line.startswith("replay: "))
    assert replay.endswith("/minimal.json' --adapter 'my file.py:connect' --option a=b")
    assert "eventproof replay 'a long folder/name/" in replay
    assert "made smaller to 2 operations; shown again by 9 of 10 runs" in " ".join(text.split())
    assert "2 times, 3 void" in " ".join(text.split())


def test_a_report_says_where_a_violation_needs_the_scenarios_beside_it() -> None:
    (example,) = report().counterexamples
    kept = replace(example, shown=0, batch=Together("counterexamples/B2/batch.json", 2, 3))
    text = printed(table.render(report(counterexamples=(kept,)), Path("out"), "memory"))
    said = "shown again by 0 of 10 runs, and by 2 of 3 beside the scenarios that met the same fault"
    assert said in " ".join(text.split())
    assert "replay: eventproof replay out/counterexamples/B2/batch.json memory" in text


def test_a_title_that_looks_like_markup_does_not_break_the_table() -> None:
    assert f"Title {MARKUP}" in printed(table.render(report(), Path("out"), "memory"), width=200)


def test_only_the_profiles_of_the_report_are_shown() -> None:
    assert "XXX-001 " not in printed(
        table.render(report(profiles={}, counterexamples=()), Path("out"), "memory")
    )


@pytest.mark.parametrize("state", ["pass", "fail", "hang", "inconclusive", "not claimed", "not checked"])
def test_every_verdict_has_a_colour(state: str) -> None:
    assert state in table.COLOURS


@pytest.mark.parametrize("state", ["conformant", "partial", "failed", "not claimed"])
def test_every_state_of_a_profile_has_a_colour(state: str) -> None:
    assert state in printed(table.render(report(profiles={"core": state}), Path("out"), "memory"))
