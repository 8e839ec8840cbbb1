"""`eventproof list`: the requirements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import click
from rich.table import Table

from eventproof.conformance.cli.console import console
from eventproof.spec import requirements
from eventproof.spec.model import Level, Profile, Status, Verify
from eventproof.spec.vocabulary import AREAS


def one_of(values: Iterable[str]) -> click.Choice[str]:
    """In any case; a wrong value is answered with these."""
    return click.Choice(list(values), case_sensitive=False)


@click.command()
@click.option("--area", type=one_of(AREAS))
@click.option("--profile", type=one_of(get_args(Profile)))
@click.option("--level", type=one_of(get_args(Level)))
@click.option("--verify", type=one_of(get_args(Verify)))
@click.option("--status", type=one_of(get_args(Status)), default="active", show_default=True)
def command(**wanted: str | None) -> None:
    """List the protocol's requirements."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("requirement", "", "level", "profile", "verify", "anomalies"):
        table.add_column(name, no_wrap=name == "requirement")
    for one in requirements:
        if all(value in (None, getattr(one, name)) for name, value in wanted.items()):
            table.add_row(one.id, one.title, one.level, one.profile, one.verify, " ".join(one.anomalies))
    console.print(table)
