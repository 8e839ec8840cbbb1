"""A report for the terminal: one line per requirement, then each counterexample step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shlex import quote

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from eventproof.conformance.history.record import History
from eventproof.conformance.report.report import Counterexample, Report
from eventproof.conformance.report.story import story
from eventproof.conformance.rules.rule import Violation
from eventproof.conformance.verdict import Verdict

COLOURS = {
    "pass": "green", "conformant": "green", "conformant without faults": "green",
    "fail": "bold red", "failed": "bold red", "hang": "bold red",
    "inconclusive": "yellow", "partial": "yellow", "not checked": "yellow", "not claimed": "dim",
}  # fmt: skip


def render(report: Report, folder: Path, broker: str) -> RenderableType:
    """What the run found, worst last, so that it stands where the reader looks. broker: how the command
    line names the broker, its options and its claims, so that a replay meets the same one."""
    return Group(
        _verdicts(report),
        *_counterexamples(report, folder, broker),
        Text(),
        _profiles(report),
        _counts(report),
        _line(f"report: {folder}"),
    )


def _verdicts(report: Report) -> Table:
    """A section per profile; it fits into 80 columns."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for width in (8, 29, 12, None):
        table.add_column(min_width=width)
    for profile in report.profiles:
        table.add_row(Text(profile, style="bold underline"))
        for verdict in (verdict for verdict in report.verdicts if verdict.profile == profile):
            table.add_row(
                verdict.requirement, escape(verdict.title), _coloured(verdict.state), _evidence(verdict)
            )
    return table


def _evidence(verdict: Verdict) -> str:
    void = f", {verdict.void} void" if verdict.void else ""
    times = f", {_times(verdict.violations)}" if verdict.violations else ""
    return escape(f"{verdict.evidence}{times}{void}")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _counterexamples(report: Report, folder: Path, broker: str) -> Iterator[RenderableType]:
    for example in report.counterexamples:
        yield Text()
        yield Text(f"{', '.join(example.requirements)} is broken ({example.anomaly})", style="bold red")
        yield Text(example.violation.message)
        yield Text(_how_found(example))
        yield from _story(example.story)
        file = example.minimal if example.batch is None else example.batch.file
        yield _line(f"replay: eventproof replay {quote(str(folder / file))} {broker}", style="dim")


def violations(verdict: Verdict, found: Sequence[Violation], history: History) -> RenderableType:
    """One broken requirement of one history: what is wrong, and the story with the first violation marked."""
    lines = [
        Text(f"{verdict.requirement} {verdict.title}: {verdict.state} ({verdict.evidence})", style="bold red")
    ]
    lines += [Text(violation.message) for violation in found]
    lines += _story(story(history, found[0].records if found else ()))
    return Group(*lines)


def _story(lines: Iterable[str]) -> list[Text]:
    return [_line(f"  {line}", style="bold" if line.startswith("→") else "") for line in lines]


def _line(text: str, style: str = "") -> Text:
    """A line that is never broken: it is to be copied, or searched for. Print it without cropping."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _how_found(example: Counterexample) -> str:
    found = (
        f"Found in scenario {example.scenario}, made smaller to {example.operations} operations;"
        f" shown again by {example.shown} of {example.reruns} runs"
    )
    if example.batch is None:
        return f"{found}."
    together = f"{example.batch.shown} of {example.batch.reruns}"
    return f"{found}, and by {together} beside the scenarios that met the same fault of the broker."


def _profiles(report: Report) -> Table:
    """The state of each profile, and why it is not the best one."""
    table = _columns(3)
    for profile, state in report.profiles.items():
        table.add_row(profile, _coloured(state), Text(report.reasons.get(profile, ""), style="dim"))
    return table


def _counts(report: Report) -> Table:
    table, counts = _columns(2), report.counts
    for name, text in _visit(report):
        table.add_row(name, text)
    if counts.faults:
        kinds = (f"{name} {one.met} of {one.planned}" for name, one in sorted(counts.faults.items()))
        table.add_row("faults", f"met what they were for: {', '.join(kinds)}")
    table.add_row(
        "evidence",
        f"{counts.scenarios} scenarios, {counts.operations} operations,"
        f" {counts.deliveries} deliveries, {counts.redeliveries} redeliveries,"
        f" {counts.dead_letters} dead letters, {counts.duplicates} duplicates,"
        f" {counts.drains - counts.unproven} of {counts.drains} drains proven, in {report.seconds:g} s",
    )
    return table


def _visit(report: Report) -> Iterator[tuple[str, Text]]:
    """What is to be known of a run on a server that is not ours."""
    if report.visit is None:
        return
    left = "; nothing is left there" if report.visit.removed else ""
    yield "server", Text(f"{report.visit.url}, under {report.visit.namespace}{left}")
    for note in report.visit.notes:
        yield "note", Text(note)
    if report.visit.ended:
        done = f"{report.visit.ended} after {report.counts.scenarios} of {report.visit.planned} scenarios"
        yield "ended", Text(f"{done}: partial at best", style="yellow")


def _columns(number: int) -> Table:
    """Tables below each other, with first columns of one width."""
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=len("evidence"))
    for _ in range(1, number):
        table.add_column()
    return table


def _coloured(state: str) -> Text:
    return Text(state, style=COLOURS[state])
