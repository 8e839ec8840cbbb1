"""`eventproof run`: a verdict per guarantee."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from eventproof.adapters import clock
from eventproof.conformance.cli import options as _options
from eventproof.conformance.cli.console import Progress, console
from eventproof.conformance.cli.main import CONFORMANT, FAILED, PARTIAL
from eventproof.conformance.report import table
from eventproof.conformance.report.report import Report
from eventproof.conformance.suite import Plan, run
from eventproof.conformance.verdict import PROFILES

TIERS = {"smoke": 40, "core": 200}  # scenarios
FOLDER = click.Path(path_type=Path, file_okay=False)
TIER = "smoke is a quick look, with too few scenarios for every verdict; core is the full run."
KEEP = "Scenarios and histories to save."
BUDGET = "Seconds for making counterexamples smaller."


@click.command()
@_options.broker
@_options.profiles
@click.option("--tier", type=click.Choice(list(TIERS)), default="core", show_default=True, help=TIER)
@click.option("--scenarios", type=click.IntRange(min=1), help="How many, instead of what the tier says.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Which are drawn.")
@click.option("--report", "folder", type=FOLDER, help="Folder for all that is saved.")
@click.option("--keep", type=click.Choice(["all", "failed"]), default="all", show_default=True, help=KEEP)
@click.option("--budget", type=click.FloatRange(min=0), default=60.0, show_default=True, help=BUDGET)
def command(target: str | None, adapter: str | None, **given: Any) -> int:
    """Run generated scenarios on a broker and give a verdict per guarantee.

    TARGET is memory, nats (JetStream) or nats-core; a NATS server is started and stopped by this command.
    """
    plan = Plan(
        plugin=_options.chosen(target, adapter),
        tier=given["tier"],
        count=given["scenarios"] or TIERS[given["tier"]],
        seed=given["seed"],
        options=_options.pairs(given["options"], "--option"),
        claims=_options.claiming(given["claims"]),
        profiles=given["profiles"] or tuple(PROFILES),
        folder=given["folder"] or _folder(target or "adapter"),
        keep=given["keep"],
        budget=given["budget"],
    )
    with Progress() as progress:
        report = run(plan, progress)
    console.print(table.render(report, plan.folder, _named(target, adapter, **given)), crop=False)
    return exit_code(report, asked=bool(given["profiles"]))


def _named(target: str | None, adapter: str | None, **given: Any) -> str:
    """The broker as `replay` has to be told of it."""
    named = ["--adapter", adapter] if adapter else [target or ""]
    for option, texts in (("--option", given["options"]), ("--claim", given["claims"])):
        named += [word for text in texts for word in (option, text)]
    return shlex.join(named)


def _folder(name: str) -> Path:
    return Path("reports") / f"{name}-{clock.now():%Y%m%dT%H%M%S}"


def exit_code(report: Report, *, asked: bool) -> int:
    """By the worst profile. A profile that is not claimed counts only if it was asked for."""
    states = set(report.profiles.values())
    if "failed" in states:
        return FAILED
    if "partial" in states or (asked and "not claimed" in states):
        return PARTIAL
    return CONFORMANT
