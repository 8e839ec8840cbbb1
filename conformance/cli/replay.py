"""`eventproof replay`: run one saved scenario again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from eventproof.adapters import clock
from eventproof.adapters.errors import EventproofError
from eventproof.conformance.batch import load
from eventproof.conformance.case import save_case
from eventproof.conformance.cli import options as _options
from eventproof.conformance.cli import visiting
from eventproof.conformance.cli.console import console
from eventproof.conformance.cli.dry import dry_run
from eventproof.conformance.cli.main import CONFORMANT, FAILED, PARTIAL
from eventproof.conformance.demand import demand, without_oversize
from eventproof.conformance.execution.stage import Stage, run_on, stage
from eventproof.conformance.fitting import fit
from eventproof.conformance.history.record import History
from eventproof.conformance.report import table
from eventproof.conformance.report.story import story
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.verdict import Means, Total, totals, verdicts
from eventproof.spec import requirements


class Unfit(EventproofError):
    """A scenario asks for what the broker does not offer."""


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_options.broker
@click.option(
    "--times", type=click.IntRange(1), default=1, show_default=True, help="How often it is run, side by side."
)
@click.option("--save", type=click.Path(path_type=Path, file_okay=False), help="Folder for the histories.")
@visiting.server
def command(scenario: Path, target: str | None, **given: Any) -> int:
    """Run SCENARIO, or the batch in that file, on TARGET and tell what happened; exit code 1 if a claim was
    broken."""
    plans, times = load(scenario), given["times"]
    plugin = _options.chosen(target, given["adapter"], given["driver"])
    options, claiming = _options.pairs(given["options"], "--option"), _options.claiming(given["claims"])
    folder = given["save"] or Path("reports") / f"replay-{clock.now():%Y%m%dT%H%M%S}"
    guest = visiting.guest(given, options, target, folder, demand(plans[0]))
    if guest is not None and not guest.visit.caps.large and any(without_oversize(p) != p for p in plans):
        raise click.UsageError("the scenario has events beyond the payload limit: give --allow-large")
    if guest is not None and given["dry_run"]:
        console.print(dry_run(plugin, guest, times * len(plans)), crop=False)
        return CONFORMANT

    async def work() -> list[History]:
        async with stage(
            plugin, name="replay", url=None, options=options, claims=claiming, guest=guest
        ) as on:
            _check(plans, on)
            if len(plans) == 1:
                return await on.run(plans * times)
            return [history for _ in range(times) for history in await on.run(plans)]

    with visiting.interruptible(guest):
        histories = run_on(plugin.facilities.clock, work)
    return _told(plans * times, histories, given["save"])


def _check(plans: Sequence[Scenario], on: Stage) -> None:
    """Raises Unfit: what an adapter has to refuse would show nothing of the broker."""
    if any(fit(plan, on.site.offered) != plan for plan in plans):
        raise Unfit(
            f"the scenario asks for what {on.site.target} does not offer (its claims of replay, dead_letter "
            "or groups tell); replay it on a broker that does"
        )


def _told(plans: Sequence[Scenario], histories: Sequence[History], folder: Path | None) -> int:
    broken = 0
    for number, (plan, history) in enumerate(zip(plans, histories, strict=False), 1):
        if folder is not None:
            save_case(plan, history, folder, f"{number:05}")
        broken += _tell(history)
    console.print(f"{broken} of {len(histories)} runs broke a claim")
    if missing := len(plans) - len(histories):
        console.print(f"a cap kept {missing} of {len(plans)} runs from beginning")
    return FAILED if broken else PARTIAL if missing else CONFORMANT


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
