"""`python -m eventproof.conformance.targets.kafkatraining FILE`: a server that starts and ends, so that Java
writes to FILE what it loaded for it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from eventproof.conformance.targets.kafkaserver import KafkaServer


class Trainee(KafkaServer):
    """It may take its time, most of all to end."""

    patience: ClassVar[float] = 120.0


async def train(archive: Path) -> None:
    """Leave an archive, and nothing else."""
    with TemporaryDirectory(dir=archive.parent) as folder:
        server = Trainee(folder=Path(folder), record=archive)
        try:
            await server.start()
        finally:
            await server.remove()


if __name__ == "__main__":
    asyncio.run(train(Path(sys.argv[1])))
