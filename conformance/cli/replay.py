"""`eventproof replay`: run one saved scenario again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from eventproof.adapters import clock
from eventproof.conformance.case import save_case
from eventproof.conformance.cli import options as _options
from eventproof.conformance.cli import visiting
from eventproof.conformance.cli.console import console
from eventproof.conformance.cli.dry import dry_run
from eventproof.conformance.cli.main import CONFORMANT, FAILED, PARTIAL
from eventproof.conformance.demand import demand, without_oversize
from eventproof.conformance.execution.stage import run_on, stage
from eventproof.conformance.history.record import History
from eventproof.conformance.report import table
from eventproof.conformance.report.story import story
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import Scenario, load
from eventproof.conformance.verdict import Means, Total, totals, verdicts
from eventproof.spec import requirements


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_options.broker
@click.option(
    "--times", type=click.IntRange(1), default=1, show_default=True, help="How often it is run, side by side."
)
@click.option("--save", type=click.Path(path_type=Path, file_okay=False), help="Folder for the histories.")
@visiting.server
def command(scenario: Path, target: str | None, **given: Any) -> int:
    """Run SCENARIO on TARGET and tell what happened; exit code 1 if a claim was broken."""
    plan, times = load(scenario), given["times"]
    plugin = _options.chosen(target, given["adapter"], given["driver"])
    options, claiming = _options.pairs(given["options"], "--option"), _options.claiming(given["claims"])
    folder = given["save"] or Path("reports") / f"replay-{clock.now():%Y%m%dT%H%M%S}"
    guest = visiting.guest(given, options, target, folder, demand(plan))
    if guest is not None and not guest.visit.caps.large and without_oversize(plan) != plan:
        raise click.UsageError("the scenario has events beyond the payload limit: give --allow-large")
    if guest is not None and given["dry_run"]:
        console.print(dry_run(plugin, guest, times), crop=False)
        return CONFORMANT

    async def work() -> list[History]:
        async with stage(
            plugin, name="replay", url=None, options=options, claims=claiming, guest=guest
        ) as on:
            return await on.run([plan] * times)

    with visiting.interruptible(guest):
        histories = run_on(plugin.facilities.clock, work)
    return _told(plan, histories, times, given["save"])


def _told(plan: Scenario, histories: Sequence[History], times: int, folder: Path | None) -> int:
    broken = 0
    for number, history in enumerate(histories, 1):
        if folder is not None:
            save_case(plan, history, folder, f"{number:05}")
        broken += _tell(history)
    console.print(f"{broken} of {len(histories)} runs broke a claim")
    if len(histories) < times:
        console.print(f"a cap kept {times - len(histories)} of {times} runs from beginning")
    return FAILED if broken else CONFORMANT if len(histories) == times else PARTIAL


def _tell(history: History) -> bool:
    """Print a run; whether it broke a claim."""
    findings = judge(history)
    found: dict[str, Total] = {}
    totals([(0, findings)], found)
    broken = [
        v
        for v in verdicts(requirements, history.header.claims, found, Means())
        if v.state in {"fail", "hang"}
    ]
    for verdict in broken:
        codes = set(verdict.anomalies)
        console.print(
            table.violations(
                verdict, [v for f in findings if f.code in codes for v in f.violations], history
            ),
            crop=False,
        )
    if not broken:
        for line in story(history, ()):
            console.print(line, markup=False, soft_wrap=True)
    return bool(broken)
