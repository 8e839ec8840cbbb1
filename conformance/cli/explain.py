"""`eventproof explain`: one requirement, with the rule that judges it and the mutants that prove the rule."""

from __future__ import annotations

import click
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from eventproof.conformance.cli.console import console
from eventproof.conformance.mutants import MUTANTS
from eventproof.conformance.rules import RULES
from eventproof.spec import Requirement, UnknownRequirement, requirement


@click.command()
@click.argument("requirement_id", metavar="ID")
def command(requirement_id: str) -> None:
    """Tell requirement ID: its text and intent, the rule that judges it, the mutants that the rule kills."""
    try:
        one = requirement(requirement_id.upper())
    except UnknownRequirement as unknown:
        raise click.UsageError(f"{unknown}; `eventproof list` shows all") from unknown
    console.print(Group(*_head(one), *_rules(one)))


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
        "Verify": f"{one.verify} {one.whynone}".strip(),
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


def _rules(one: Requirement) -> list[Text]:
    lines = []
    for rule in RULES:
        if rule.code in one.anomalies:
            lines.append(
                Text.assemble(("Rule: ", "bold"), f"{rule.code} {rule.name}. {' '.join(rule.doc.split())}")
            )
            killed = [mutant for mutant in MUTANTS if mutant.anomaly == rule.code]
            lines += [
                Text.assemble(("Mutant: ", "bold"), f"{mutant.name} {mutant.summary}") for mutant in killed
            ]
    return lines
