"""Where Apache Kafka comes from, and what is said where it cannot be had."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventproof.conformance.targets import kafkajars
from eventproof.conformance.targets.kafkajars import VERSION, find_jars
from eventproof.conformance.targets.ownserver import MissingServer
from eventproof.conformance.targets.usercache import cache

NAMES = (f"kafka_2.13-{VERSION}.jar", f"kafka-server-{VERSION}.jar", "log4j-slf4j-impl-2.jar")
HINT = r"pip install 'eventproof\[servers\]', or set KAFKA_HOME to an installation of Apache Kafka 4"
MAVEN = """#!/bin/sh
PATH=/bin:/usr/bin
for word; do case $word in
  -DoutputDirectory=*) folder=${word#*=} ;;
  *.pom|*.xml) grep -q '<artifactId>kafka_2.13</artifactId>' "$word" || exit 9 ;;
esac; done
cp JARS/*.jar "$folder"
"""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which nothing is cached, and jgo and mvn are not installed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def jars(folder: Path, *names: str) -> Path:
    """Archives with something in them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with zipfile.ZipFile(folder / name, "w") as jar:
            jar.writestr("file", "what is in it")
    return folder


def maven(own: Path, text: str) -> None:
    program = own / "mvn"
    program.write_text(text)
    program.chmod(0o755)


def gives(*names: str) -> object:
    def way(scratch: Path) -> Iterator[Path]:
        for name in names:
            yield jars(scratch, name) / name

    return way


def test_what_the_extra_fetches_is_complete_and_there_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    found = find_jars()
    assert {f"kafka-clients-{VERSION}.jar", NAMES[0]} <= {jar.name for jar in found}
    monkeypatch.setattr(kafkajars, "_fetch", None)
    assert find_jars() == found


def test_an_installation_comes_first(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = jars(own / "kafka" / "libs", *NAMES)
    monkeypatch.setenv("KAFKA_HOME", str(own / "kafka"))
    assert find_jars() == sorted(folder.iterdir())
    assert not cache().exists()


def test_an_installation_that_is_none_is_told(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(own))
    with pytest.raises(MissingServer, match=rf"KAFKA_HOME is {own}: there is no kafka_2.13-\*.jar of Apache"):
        find_jars()


def test_without_the_extra_it_is_maven_that_fetches(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maven(own, MAVEN.replace("JARS", str(jars(own / "jars", *NAMES))))
    found = find_jars()
    assert {jar.name for jar in found} == set(NAMES)
    assert {path.name for path in found[0].parent.iterdir()} == set(NAMES)
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"fetching Apache Kafka {VERSION}, this once, to {cache()}\n")
    assert find_jars() == found
    assert capsys.readouterr().err == ""


def test_nothing_at_all_says_what_to_do(own: Path) -> None:
    told = f"Apache Kafka {VERSION} cannot be had .there is no jgo.maven; there is no mvn.: {HINT}"
    with pytest.raises(MissingServer, match=told):
        find_jars()
    assert {path.name for path in cache().iterdir()} == {"lock"}


def test_a_repository_that_cannot_be_reached_is_one_line(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def _by_jgo(scratch: Path) -> Iterator[Path]:
        yield from gives(NAMES[0])(scratch)  # type: ignore[operator]
        raise ConnectionError("the network\nis down")

    monkeypatch.setattr(kafkajars, "_by_jgo", _by_jgo)
    maven(own, "#!/bin/sh\necho '[ERROR] no such host'\nexit 1\n")
    with pytest.raises(
        MissingServer, match=r"jgo: the network is down; maven: \[ERROR\] no such host"
    ) as told:
        find_jars()
    assert "\n" not in str(told.value)
    assert {path.name for path in cache().iterdir()} == {"lock"}


def test_a_jar_that_arrives_damaged_is_not_used(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(scratch: Path) -> Iterator[Path]:
        jar = jars(scratch, NAMES[0]) / NAMES[0]
        jar.write_bytes(jar.read_bytes().replace(b"what is in it", b"what was in i"))
        yield jar

    monkeypatch.setattr(kafkajars, "_by_jgo", damaged)
    with pytest.raises(MissingServer, match=f"{NAMES[0]} arrived damaged"):
        find_jars()


def test_a_cache_that_lost_a_jar_is_told(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafkajars, "_by_jgo", gives(*NAMES))
    (found, *_) = find_jars()
    found.unlink()
    with pytest.raises(MissingServer, match=f"{cache()} is damaged; remove it"):
        find_jars()
