"""The kill matrix for the terminal and as a file."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eventproof.conformance.selftest import Kill, Selftest


def render(result: Selftest) -> RenderableType:
    """One row per broker: what had to find it, after how many scenarios it did, and what else fell."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, width in (("rule", 5), ("broker", 34), ("after", 5), ("operations", 10), ("what fell", None)):
        table.add_column(name, min_width=width, max_width=width)
    for kill in result.kills:
        table.add_row(*_row(kill), style="" if kill.right else "bold red")
    broken = [kill for kill in result.kills if kill.anomaly]
    odd = [kill for kill in result.kills if not kill.anomaly]
    return Group(
        table,
        Text(
            f"{sum(kill.right for kill in broken)} of {len(broken)} broken brokers caught by the right rule,"
            f" {sum(kill.right for kill in odd)} of {len(odd)} odd ones left alone,"
            f" on {result.scenarios} scenarios of seed {result.seed}"
        ),
    )


def _row(kill: Kill) -> tuple[str, Text, str, str, str]:
    broker = Text.assemble((kill.name, "bold"), "\n", (kill.summary, "dim"))
    fell = ", ".join(kill.requirements) or "nothing"
    if not kill.anomaly:
        return "legal", broker, "", "", fell
    return kill.anomaly, broker, str(kill.after or "never"), str(kill.operations) if kill.after else "", fell


def save(result: Selftest, folder: Path) -> None:
    """Write matrix.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "matrix.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
