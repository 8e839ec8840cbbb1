"""`eventproof cleanup`: remove what a killed run left on a server that is not ours."""

from __future__ import annotations

from pathlib import Path

import click

from eventproof.conformance import plugin
from eventproof.conformance.cli.console import console
from eventproof.conformance.cli.main import CONFORMANT
from eventproof.conformance.cli.visiting import address
from eventproof.conformance.execution.stage import run_on
from eventproof.conformance.execution.visiting import Removed, clean
from eventproof.conformance.manifest import Header, Manifest, load
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.targets.visit import Visit

URL = "Where the server is now, if not where the manifest says; env:NAME or file:PATH with a password."


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--url", help=URL)
def command(manifest: Path, url: str | None) -> int:
    """Remove the topics that MANIFEST lists and that are still there; it may be called again.

    MANIFEST is the file manifest.jsonl in the report folder of a run with --url.
    """
    listed = load(manifest)
    tested = _plugin(listed.header)
    visit = Visit(
        url=address(url or listed.header.url),
        namespace=listed.header.namespace,
        options=listed.header.options,
    )
    removed = run_on(tested.facilities.clock, lambda: clean(tested, visit, listed.topics))
    if not listed.ended:
        Manifest(manifest).end()
    _tell(removed, len(listed.topics))
    return CONFORMANT


def _plugin(header: Header) -> Plugin:
    if header.driver:
        return plugin.driven(header.driver)
    return plugin.ours(header.target) if header.target else plugin.anybodys(header.adapter)


def _tell(removed: Removed, listed: int) -> None:
    for topic in removed.topics:
        console.print(f"removed {topic}", markup=False, soft_wrap=True)
    console.print(f"{len(removed.topics)} of {listed} listed topics were still there, and are gone")
    if removed.others:
        console.print(
            f"{len(removed.others)} others of the namespace are not in this manifest, and stay: "
            f"{', '.join(removed.others)}",
            markup=False,
            soft_wrap=True,
        )
