"""`eventproof run`: a verdict per guarantee."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from eventproof.adapters import clock
from eventproof.conformance.cli import options as _options
from eventproof.conformance.cli import visiting
from eventproof.conformance.cli.console import Progress, console
from eventproof.conformance.cli.dry import dry_run
from eventproof.conformance.cli.main import CONFORMANT, FAILED, PARTIAL
from eventproof.conformance.demand import demand
from eventproof.conformance.profiles import PROFILES
from eventproof.conformance.report import table
from eventproof.conformance.report.report import Report
from eventproof.conformance.suite import LARGEST, Plan, run

TIERS = {"smoke": 40, "core": 300, "fault": 240}  # scenarios
UNJUDGED = {"conformant without faults", "not claimed", "not checked"}
FOLDER = click.Path(path_type=Path, file_okay=False)
TIER = "smoke: a quick look, too short for every verdict; core: all that needs no faults; fault: with faults."
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
@visiting.server
def command(target: str | None, **given: Any) -> int:
    """Run generated scenarios on a broker and give a verdict per guarantee.

    TARGET is memory, nats (JetStream), nats-core or kafka. A server is started and stopped by this command; a
    NATS server may be given by --url: that one is never stopped, paused or configured; all that is made there
    has names of its own, stays below the caps, and is removed in the end.
    """
    plan = _plan(target, **given)
    if plan.guest is not None and given["dry_run"]:
        console.print(dry_run(plan.plugin, plan.guest, plan.count), crop=False)
        return CONFORMANT
    with Progress() as progress, visiting.interruptible(plan.guest):
        report = run(plan, progress)
    console.print(table.render(report, plan.folder, _named(target, **given)), crop=False)
    return exit_code(report, asked=bool(given["profiles"]))


def _plan(target: str | None, **given: Any) -> Plan:
    options = _options.pairs(given["options"], "--option")
    folder = given["folder"] or _folder(target or ("driver" if given["driver"] else "adapter"))
    plugin = _options.chosen(target, given["adapter"], given["driver"])
    return Plan(
        plugin=plugin,
        guest=visiting.guest(given, options, target, folder, demand(LARGEST)),
        tier=given["tier"],
        count=given["scenarios"] or TIERS[given["tier"]],
        seed=given["seed"],
        options=options,
        claims=_options.claiming(given["claims"]),
        profiles=given["profiles"] or tuple(PROFILES),
        folder=folder,
        keep=given["keep"],
        budget=given["budget"],
    )


def _named(target: str | None, **given: Any) -> str:
    """The broker as `replay` has to be told of it."""
    named = [target] if target else []
    for option in ("adapter", "driver", "url"):
        if given[option]:
            named += [f"--{option}", given[option]]
    for option, texts in (("--option", given["options"]), ("--claim", given["claims"])):
        named += [word for text in texts for word in (option, text)]
    return shlex.join(named)


def _folder(name: str) -> Path:
    return Path("reports") / f"{name}-{clock.now():%Y%m%dT%H%M%S}"


def exit_code(report: Report, *, asked: bool) -> int:
    """By the worst profile. What is not claimed or not checked counts only if it was asked for."""
    states = set(report.profiles.values())
    if "failed" in states:
        return FAILED
    if "partial" in states or (asked and states & UNJUDGED):
        return PARTIAL
    return CONFORMANT
