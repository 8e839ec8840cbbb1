"""`eventproof check`: judge saved histories again, without a broker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from eventproof.adapters.claims import Claims
from eventproof.conformance.cli import options as _options
from eventproof.conformance.cli.console import console
from eventproof.conformance.cli.main import BROKEN, CONFORMANT, FAILED
from eventproof.conformance.history.files import MalformedHistory, TruncatedHistory, load
from eventproof.conformance.history.record import History
from eventproof.conformance.profiles import PROFILES
from eventproof.conformance.report import table
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.verdict import Means, Total, totals, verdicts
from eventproof.spec import requirements


@click.command()
@click.argument(
    "histories", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@_options.profiles
@click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="PATH=VALUE",
    help="Judge by another claim than the recorded one.",
)
def command(histories: tuple[Path, ...], profiles: tuple[str, ...], claims: tuple[str, ...]) -> int:
    """Judge HISTORY files again and list every violation of what was claimed.

    A single history seldom exercises a guarantee often enough for a pass: what it can show is a violation.
    """
    claiming, worst = _options.claiming(claims), CONFORMANT
    for path in histories:
        worst = max(worst, _check(path, profiles or tuple(PROFILES), claiming))
    return worst


def _check(path: Path, profiles: tuple[str, ...], claiming: Callable[[Claims], Claims]) -> int:
    history = _load(path)
    if history is None:
        return BROKEN
    header = msgspec.structs.replace(history.header, claims=claiming(history.header.claims))
    history = msgspec.structs.replace(history, header=header)
    findings = judge(history)
    found: dict[str, Total] = {}
    totals([(0, findings)], found)
    broken = [
        v
        for v in verdicts(requirements, header.claims, found, Means())
        if v.state in {"fail", "hang"} and v.profile in profiles
    ]
    malformed = [
        violation for finding in findings if finding.code == "H1" for violation in finding.violations
    ]
    for violation in malformed:
        console.print(f"{path}: malformed: {violation.message}", markup=False, soft_wrap=True)
    for verdict in broken:
        codes = set(verdict.anomalies)
        shown = [
            violation for finding in findings if finding.code in codes for violation in finding.violations
        ]
        console.print(table.violations(verdict, shown, history), crop=False)
    if not malformed and not broken:
        console.print(
            f"{path}: {len(history.records)} records, nothing violated", markup=False, soft_wrap=True
        )
    return BROKEN if malformed else FAILED if broken else CONFORMANT


def _load(path: Path) -> History | None:
    """A history whose writer crashed is judged as far as it goes."""
    try:
        return load(path)
    except TruncatedHistory as cut:
        click.echo(f"{path}: {cut}; judging those", err=True)
        return cut.history
    except MalformedHistory as problem:
        click.echo(f"eventproof: {path}: {problem}", err=True)
        return None
