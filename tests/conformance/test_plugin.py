"""What can be put under test: our targets by name, anybody's adapter by module or file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from eventproof.conformance import plugin
from eventproof.conformance.plugin import InvalidAdapter, Plugin, anybodys, ours
from eventproof.conformance.report.report import Report
from eventproof.conformance.suite import Plan, run
from eventproof.conformance.targets.facilities import TICK, facilities
from eventproof.conformance.targets.target import Target

ADAPTER = """
from contextlib import asynccontextmanager
from eventproof.adapters import memory

@asynccontextmanager
async def connect(url, **options):
    async with memory.connect(url, **options) as broker:
        yield broker
"""
TARGET = "from eventproof.conformance.targets.memory import target\n"


class Quiet:
    """Follows a run and says nothing."""

    def phase(self, text: str, steps: int) -> None: ...

    def step(self) -> None: ...


def written(folder: Path, text: str, name: str = "theirs.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def report(given: Plugin, folder: Path, count: int, **options: Any) -> Report:
    plan = Plan(plugin=given, count=count, folder=folder, options=options, profiles=("core",), budget=1.0)
    return run(plan, Quiet())


def states(given: Report) -> dict[str, tuple[str, int]]:
    return {verdict.requirement: (verdict.state, verdict.exercised) for verdict in given.verdicts}


# finding it


@pytest.mark.parametrize("name", plugin.TARGETS)
def test_our_targets_are_found_by_name(name: str) -> None:
    found = ours(name)
    assert found.name == name
    assert callable(found.connect)
    wanted = [part for part in dir(Target) if not part.startswith("_")]
    assert set(wanted) <= set(type(found.facilities).__struct_fields__)


@pytest.mark.parametrize(("name", "there"), [("memory", True), ("nats", True), ("nats-core", False)])
def test_a_broker_that_stores_nothing_has_nothing_to_administer(name: str, there: bool) -> None:
    found = ours(name).facilities
    for part in ("provision", "idle", "read_log", "positions"):
        assert (getattr(found, part) is not None) == there, part


def test_an_unknown_target_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(
        InvalidAdapter,
        match=r"no target 'redis'; choose from memory, nats, nats-core, kafka, or give --adapter",
    ):
        ours("redis")


@pytest.mark.parametrize("target", ["nats", "nats-core"])
def test_a_missing_client_library_is_one_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setitem(sys.modules, "nats", None)
    for name in [name for name in sys.modules if name.startswith("nats.")]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [
        name
        for name in sys.modules
        if name.startswith(("eventproof.adapters.nats", "eventproof.conformance.targets.nats"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InvalidAdapter) as refused:
        ours(target)
    assert "pip install 'eventproof[nats,servers]'" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_adapter_is_found_in_a_module_and_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, ADAPTER, "theirs_in_a_module.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    for spec in ("theirs_in_a_module:connect", f"{path}:connect"):
        found = anybodys(spec)
        assert found.connect.__name__ == "connect"
        assert found.facilities.clock == "real"
        assert found.facilities.tick == TICK
        assert found.facilities.idle is None


def test_a_file_may_have_any_name_and_a_dotted_module_is_imported(tmp_path: Path) -> None:
    path = written(tmp_path, ADAPTER + TARGET, "not-an-identifier 2.py")
    assert anybodys(f"{path}:connect").facilities.clock == "virtual"
    assert anybodys("eventproof.conformance.targets.memory:connect").facilities.clock == "virtual"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "write MODULE:CONNECT or FILE.py:CONNECT"),
        ("module", "write MODULE:CONNECT or FILE.py:CONNECT"),
        (":connect", "write MODULE:CONNECT or FILE.py:CONNECT"),
        ("module:", "write MODULE:CONNECT or FILE.py:CONNECT"),
        ("no.such.module.at_all:connect", "module no.such.module.at_all cannot be imported"),
        ("/nowhere/at/all.py:connect", "there is no file /nowhere/at/all.py"),
        ("json:connect", "json has no callable 'connect'"),
        ("json:__name__", "json has no callable '__name__'"),
    ],
)
def test_what_is_no_adapter_is_refused_in_one_line(spec: str, says: str) -> None:
    with pytest.raises(InvalidAdapter) as refused:
        anybodys(spec)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def broken(:\n", "cannot be imported"),
        ("import no_such_library\n", "No module named 'no_such_library'"),
        ("from json import nothing_there\n", "cannot import name 'nothing_there'"),
        ("connect = 3\n", "has no callable 'connect'"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidAdapter) as refused:
        anybodys(f"{path}:connect")
    assert str(path) in str(refused.value)
    assert says in str(refused.value)


# what its target offers


def test_a_target_offers_what_it_defines_and_nothing_else() -> None:
    class Offers:
        clock = "virtual"
        tick = 2.0

        async def idle(self, topic: str, group: str) -> dict[str, int]:
            return {}

    found = facilities(Offers())
    assert (found.clock, found.tick, found.max_payload) == ("virtual", 2.0, None)
    assert found.idle is not None
    assert found.provision is found.remove is found.read_log is found.positions is found.versions is None


# the same verdicts


def test_a_ten_line_file_around_the_memory_adapter_gets_the_memory_adapters_verdicts(tmp_path: Path) -> None:
    text = ADAPTER + TARGET
    assert len(text.strip().splitlines()) <= 10
    theirs = report(
        anybodys(f"{written(tmp_path, text)}:connect"), tmp_path / "theirs", 80, max_payload=16_384
    )
    mine = report(ours("memory"), tmp_path / "ours", 80)
    assert states(theirs) == states(mine)
    assert theirs.profiles == mine.profiles
    assert theirs.counts == mine.counts
    assert len(states(mine)) > 40


def test_without_a_target_the_log_and_the_positions_are_not_checked_and_nothing_fails(tmp_path: Path) -> None:
    found = report(
        anybodys(f"{written(tmp_path, ADAPTER)}:connect"), tmp_path / "report", 4, max_payload=16_384
    )
    not_checked = {
        v.requirement: v.evidence for v in found.verdicts if v.state == "not checked" and not v.faults
    }
    assert not_checked == {
        "DUP-001": "needs read_log of the target",
        "DUP-004": "needs read_log of the target",
        "DLV-008": "needs positions of the target",
    }
    assert not [v for v in found.verdicts if v.state in {"fail", "hang"}]
    assert found.counts.unproven == 0
    assert found.counts.deliveries > 0
