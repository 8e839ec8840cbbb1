"""What must not outlive a test, and a real server for the drivers of NATS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.nats.conftest import nats, nats_server

__all__ = ["nats", "nats_server"]


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """No pipe outlives a test."""
    before = open_files()
    yield
    assert open_files() <= before
