"""`eventproof selftest`: the whole kill matrix, on one corpus of scenarios."""

from __future__ import annotations

from pathlib import Path

import click

from eventproof.conformance.cli.console import Progress, console
from eventproof.conformance.cli.main import CONFORMANT, FAILED
from eventproof.conformance.report import matrix
from eventproof.conformance.selftest import selftest


@click.command()
@click.option(
    "--scenarios", type=click.IntRange(min=1), default=200, show_default=True, help="Size of the corpus."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Which scenarios are drawn."
)
@click.option(
    "--report", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder for matrix.json."
)
def command(scenarios: int, seed: int, folder: Path | None) -> int:
    """Run every broken broker and every odd but legal one on one corpus of scenarios.

    Each broken one must be caught by the right rule, and no odd one by any.
    """
    with Progress() as progress:
        result = selftest(scenarios, seed, progress)
    if folder is not None:
        matrix.save(result, folder)
    console.print(matrix.render(result))
    return CONFORMANT if result.passed else FAILED
