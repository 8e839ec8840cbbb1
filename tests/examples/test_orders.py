"""The example in the README runs as it stands there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from eventproof.conformance.targets.natsserver import NatsServer

ROOT = Path(__file__).parents[2]


def test_the_orders_example_bills_every_order() -> None:
    async def story() -> str:
        server = NatsServer()
        try:
            await server.start()
            words = [sys.executable, ROOT / "examples" / "orders.py", server.url]
            return await asyncio.to_thread(subprocess.check_output, words, text=True, timeout=30)
        finally:
            await server.remove()

    assert sorted(asyncio.run(story()).splitlines()) == ["billed 1200", "billed 400", "billed 800"]


def test_the_readme_shows_lines_of_the_example() -> None:
    example = {line.strip() for line in (ROOT / "examples" / "orders.py").read_text().splitlines()}
    readme = (ROOT / "README.md").read_text()
    block = readme.split("## Use it in a service")[1].split("```python\n")[1].split("```")[0]
    for line in filter(str.strip, block.splitlines()):
        assert line.strip() in example
