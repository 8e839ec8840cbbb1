"""What a run found: medians, ratios, and whether the bars are met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.nats.contest import SIDES, Case

Rounds = Sequence[Mapping[str, float]]


def ratio(rounds: Rounds, other: str) -> float:
    """The median of what our rate was of the other's in each round: load that comes and goes hits both."""
    return median(rates["ours"] / rates[other] for rates in rounds)


def summary(case: Case, rounds: Rounds) -> dict[str, Any]:
    """One case as JSON. Rates are events per second."""
    to_bare, to_framework = ratio(rounds, "bare"), ratio(rounds, "framework")
    return {
        "case": case.name,
        "median": {side: round(median(rates[side] for rates in rounds)) for side in SIDES},
        "to_bare": {"ratio": round(to_bare, 3), "bar": case.bar, "met": to_bare >= case.bar},
        "to_framework": {
            "ratio": round(to_framework, 3),
            "bar": case.framework_bar,
            "met": to_framework >= case.framework_bar,
        },
        "rounds": [{side: round(rates[side]) for side in SIDES} for rates in rounds],
    }


def table(summaries: Sequence[Mapping[str, Any]], title: str) -> Table:
    """One row for each case."""
    shown = Table(title=title)
    shown.add_column("events/s")
    for name in ("ours", "nats-py", "FastStream", "ours / nats-py", "ours / FastStream"):
        shown.add_column(name, justify="right")
    for row in summaries:
        rates = [f"{row['median'][side]:,}" for side in SIDES]
        shown.add_row(row["case"], *rates, _told(row["to_bare"]), _told(row["to_framework"]))
    return shown


def _told(against: Mapping[str, Any]) -> str:
    colour, sign = ("green", "≥") if against["met"] else ("red", "<")
    return f"[{colour}]{against['ratio']:.2f} {sign} {against['bar']:g}[/]"
