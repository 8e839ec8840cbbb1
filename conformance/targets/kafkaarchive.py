"""What Java loads for a Kafka, loaded and linked once for all later starts: those need half of the time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from rich.console import Console

from eventproof.conformance.processes import die_with_parent
from eventproof.conformance.targets.javaruntime import Java
from eventproof.conformance.targets.usercache import made_once

_SINCE: Final = 25  # the Java that writes an archive at its end
_PATIENCE: Final = 180.0  # seconds
_NAME: Final = "kafka.aot"
_NO_CODE: Final = (  # of Java's own: what is found in the archive under a wrong name is only warned of
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-AOTAdapterCaching",
    "-XX:-AOTStubCaching",
)


def find_archive(java: Java, jars: Sequence[Path]) -> Path | None:
    """The archive that fits, made if need be, within seconds; None if there is none: it only saves time.

    Java itself checks that an archive fits, and does without one that does not.
    """
    if java.feature < _SINCE:
        return None
    archive = made_once(f"kafka-archive-{_fitting(java, jars)}", _make) / _NAME
    return archive if archive.is_file() else None


def use(archive: Path) -> Sequence[str]:
    """The flags of a Java that starts with it."""
    return (*_NO_CODE, f"-XX:AOTCache={archive}")


def write(archive: Path) -> Sequence[str]:
    """The flags of a Java that writes one when it ends in order."""
    return (*_NO_CODE, f"-XX:AOTCacheOutput={archive}")


def _fitting(java: Java, jars: Sequence[Path]) -> str:
    """Another Java or another file makes another archive."""
    files = [(str(jar), jar.stat().st_size, jar.stat().st_mtime_ns) for jar in jars]
    return hashlib.sha256(repr((java.version, files)).encode()).hexdigest()[:12]


def _make(folder: Path) -> None:
    """Let a server start and end; one that does not leaves no archive, and is not tried again."""
    Console(stderr=True, soft_wrap=True).print("preparing quick starts of Apache Kafka, this once")
    with suppress(subprocess.SubprocessError):
        subprocess.run(  # noqa: S603 - this Python
            [sys.executable, "-m", "eventproof.conformance.targets.kafkatraining", folder / _NAME],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=True,
            preexec_fn=die_with_parent(),
        )
