"""Where a server of our own keeps its data: a temporary folder, or one that stays."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_MEMORY: Final = "/dev/shm"  # noqa: S108 - a folder of our own is made in it
_MEMORY_NEEDED: Final = 2 << 30


def temporary(prefix: str, parent: Path) -> Path:
    """A new folder whose name tells whose it is; what killed processes left under the prefix is removed."""
    _sweep(prefix, parent)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent))


def roomiest() -> Path:
    """Memory where there is enough: what a killed process wrote stays there as it does in the page cache, and
    hundreds of consumers keep their state several times as fast as on a disk."""
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _MEMORY_NEEDED:
        return Path(_MEMORY)
    return Path(tempfile.gettempdir())


def _sweep(prefix: str, parent: Path) -> None:
    """Remove what a run left behind that was killed: its server died with it, its folder could not."""
    for folder in parent.glob(f"{prefix}*-*"):
        owner = folder.name.removeprefix(prefix).partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
