"""Where what was fetched once stays for the next time: complete, or not there."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from eventproof.conformance.targets import serverfolder


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; one that is not there is filled by `make`, then takes the name at once.

    What an interrupted `make` leaves is never taken for the folder, and removed by the next one. Processes
    take turns.
    """
    folder = cache() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent):
        if not folder.is_dir():
            part = serverfolder.temporary("part-", folder.parent)
            try:
                make(part)
                part.rename(folder)
            finally:
                rmtree(part, ignore_errors=True)
    return folder


def cache() -> Path:
    """The user's cache folder of this package, as the system has it."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if Path(given).is_absolute():
        return Path(given) / "eventproof"
    system = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return Path.home() / system / "eventproof"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # ends with the process, however that ends
        yield
