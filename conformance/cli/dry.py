"""What --dry-run tells."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eventproof.adapters.secret import redacted
from eventproof.conformance.execution.stage import run_on
from eventproof.conformance.execution.visiting import Guest, surveyed
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.targets.visit import Caps, Terms

MIB = 1 << 20


def dry_run(plugin: Plugin, guest: Guest, scenarios: int) -> RenderableType:
    """Do the preflight, and tell what the run would create. Raises EventproofError if it cannot be."""
    terms = run_on(plugin.facilities.clock, lambda: surveyed(plugin, guest))
    table = Table.grid(padding=(0, 2))
    for name, text in _rows(guest, terms, scenarios):
        table.add_row(name, Text(text))
    told: list[RenderableType] = [table]
    if terms.permissions:
        told += [
            Text("\nThe least that the user has to be allowed:\n"),
            Text(terms.permissions, no_wrap=True, overflow="ignore"),
        ]
    return Group(*told)


def _rows(guest: Guest, terms: Terms, scenarios: int) -> Iterator[tuple[str, str]]:
    yield "dry run", "nothing was created"
    yield "server", redacted(guest.visit.url)
    yield "namespace", guest.visit.namespace
    for number, line in enumerate(terms.creates):
        yield "" if number else "creates", line
    yield "at most", f"{scenarios} scenarios, {_most(guest.visit.caps, terms)}"
    for note in terms.notes:
        yield "note", note


def _most(caps: Caps, terms: Terms) -> str:
    return (
        f"{terms.at_once} at once, {caps.rate} events in a second, {caps.max_bytes / MIB:g} MiB stored,"
        f" and none begun after {caps.max_duration:g} s"
    )
