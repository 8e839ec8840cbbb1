"""`eventproof run`: a verdict per guarantee."""

from __future__ import annotations

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


@click.command()
@_options.broker
@_options.profiles
@click.option("--tier", type=click.Choice(list(TIERS)), default="core", show_default=True, help="How much is tried.")
@click.option("--scenarios", type=click.IntRange(min=1), help="How many, instead of what the tier says.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Which scenarios are drawn.")
@click.option("--report", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder for all that is saved.")
@click.option("--keep", type=click.Choice(["all", "failed"]), default="all", show_default=True, help="Histories to save.")
@click.option("--budget", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds for minimising.")
def command(
    target: str | None, adapter: str | None, options: tuple[str, ...], claims: tuple[str, ...], profiles: tuple[str, ...],
    tier: str, scenarios: int | None, seed: int, folder: Path | None, keep: Any, budget: float,
) -> int:  # fmt: skip
    """Run generated scenarios on a broker and give a verdict per guarantee.

    TARGET is memory or nats, whose server is started and stopped by this command.
    """
    plan = Plan(
        plugin=_options.chosen(target, adapter), tier=tier, count=scenarios or TIERS[tier], seed=seed,
        options=_options.pairs(options, "--option"), claims=_options.claiming(claims),
        profiles=profiles or tuple(PROFILES), folder=folder or _folder(target or "adapter"), keep=keep, budget=budget,
    )  # fmt: skip
    with Progress() as progress:
        report = run(plan, progress)
    console.print(table.render(report, plan.folder))
    return exit_code(report, asked=bool(profiles))


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
