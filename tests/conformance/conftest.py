"""The command line, as a fixture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventproof.conformance.cli.main import _run


class Ended:
    """How a command ended and what it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in out + err


@pytest.fixture
def eventproof(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def called(*words: object) -> Ended:
        code = _run([str(word) for word in words])
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return called
