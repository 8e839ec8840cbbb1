"""`eventproof list`: the requirements."""

from __future__ import annotations

import click
from rich.table import Table

from eventproof.conformance.cli.console import console
from eventproof.spec import requirements


@click.command()
@click.option("--area", help="As in ORD.")
@click.option("--profile", help="As in ordered.")
@click.option("--level", help="As in MUST.")
@click.option("--status", type=click.Choice(["active", "removed"]), default="active", show_default=True)
def command(area: str | None, profile: str | None, level: str | None, status: str) -> None:
    """List the protocol's requirements."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("requirement", "", "level", "profile", "verify", "anomalies"):
        table.add_column(name, no_wrap=name == "requirement")
    for one in requirements:
        wanted = {one.area: area, one.profile: profile, one.level: level, one.status: status}
        if all(asked is None or asked.casefold() == value.casefold() for value, asked in wanted.items()):
            table.add_row(one.id, one.title, one.level, one.profile, one.verify, " ".join(one.anomalies))
    console.print(table)
