"""`eventproof explain`: one requirement, the rule that judges it, the mutants that prove the rule, and what
came out the last time."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from eventproof.conformance.cli import earlier
from eventproof.conformance.cli.console import console
from eventproof.conformance.mutants import MUTANTS
from eventproof.conformance.rules import RULES
from eventproof.spec import Requirement, UnknownRequirement, requirement

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("requirement_id", metavar="ID")
@click.option("--reports", type=FOLDER, default="reports", show_default=True, help="Folder of saved runs.")
def command(requirement_id: str, reports: Path) -> None:
    """Tell requirement ID: its text and intent, the rule that judges it, the mutants that the rule kills, and
    the newest run that judged it."""
    try:
        one = requirement(requirement_id.upper())
    except UnknownRequirement as unknown:
        raise click.UsageError(f"{unknown}; `eventproof list` shows all") from unknown
    console.print(Group(*_head(one), *_rules(one), *earlier.told(one, reports)))


def _head(one: Requirement) -> list[Text | Padding]:
    when = (
        ", ".join(f"{path} = {' or '.join(map(str, values))}" for path, values in one.when.items())
        or "always"
    )
    facts = {
        "Intent": one.intent,
        "Needs": one.needs,
        "Limits": one.limits,
        "Profile": one.profile,
        "When": when,
        "Verify": " ".join(filter(None, (one.verify, _of(one.faults), one.whynone))),
        "Exercise": str(one.exercise),
        "Defined in": f"spec/{one.anchor}",
    }
    head = Text.assemble(
        (f"{one.id} {one.title}", "bold"), f" · {one.level} · {one.target} · since {one.since}"
    )
    return [
        head,
        Padding(Text(one.text), (1, 0)),
        *(Text.assemble((f"{name}: ", "bold"), text) for name, text in facts.items()),
    ]


def _of(faults: tuple[str, ...]) -> str:
    return f"of {', '.join(faults)}" if faults else ""


def _rules(one: Requirement) -> list[Text]:
    lines = []
    for rule in RULES:
        if rule.code in one.anomalies:
            lines.append(
                Text.assemble(("Rule: ", "bold"), f"{rule.code} {rule.name}. {' '.join(rule.doc.split())}")
            )
            under = (mutant for mutant in MUTANTS if not one.faults or mutant.fault in one.faults)
            killed = [mutant for mutant in under if mutant.anomaly == rule.code]
            lines += [
                Text.assemble(("Mutant: ", "bold"), f"{mutant.name} {mutant.summary}") for mutant in killed
            ]
    return lines
