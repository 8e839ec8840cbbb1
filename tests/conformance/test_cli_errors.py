"""The command `eventproof` where it is used wrongly, cannot be set up, or is a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from eventproof.conformance import suite
from eventproof.conformance.cli.main import COMMANDS
from eventproof.conformance.scenario import Consumer, Fault, Group, Policy, Publish, Scenario, encode
from tests.conformance.brokers import SMALL

CONFORMANT, BROKEN, USAGE = 0, 3, 4


# usage


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run"], "give exactly one of TARGET"),
        (["run", "memory", "--adapter", "json:loads"], "give exactly one of TARGET"),
        (["run", "redis"], "there is no target 'redis'"),
        (["run", "memory", "--claim", "loss"], "'loss' is not of the form K=V"),
        (["run", "memory", "--claim", "colour=red"], "there is no claim 'colour'"),
        (["run", "memory", "--claim", "loss.colour=red"], "there is no claim 'loss.colour'"),
        (["run", "memory", "--claim", "ordering.colour=red"], "there is no claim 'ordering.colour'"),
        (["run", "memory", "--claim", "loss=sometimes"], "Invalid enum value 'sometimes'"),
        (["run", "memory", "--claim", "expiry=3"], "Expected `bool`, got `int`"),
        (["run", "memory", "--option", "lane"], "'lane' is not of the form K=V"),
        (["run", "memory", "--option", "=event"], "'=event' is not of the form K=V"),
        (["run", "memory", "--profile", "fast"], "'fast' is not one of"),
        (["run", "memory", "--tier", "huge"], "'huge' is not one of"),
        (["run", "memory", "--scenarios", "0"], "0 is not in the range"),
        (["run", "memory", "--seed", "-1"], "-1 is not in the range"),
        (["run", "memory", "--keep", "some"], "'some' is not one of"),
        (["run", "memory", "--colour"], "No such option"),
        (["replay"], "Missing argument 'SCENARIO'"),
        (["replay", "missing.json", "memory"], "File 'missing.json' does not exist"),
        (["check"], "Missing argument 'HISTORIES...'"),
        (["check", "missing.jsonl"], "File 'missing.jsonl' does not exist"),
        (["explain", "XYZ-999"], "no requirement 'XYZ-999'"),
        (["explain"], "Missing argument 'ID'"),
        (["list", "--status", "old"], "'old' is not one of"),
        (["selftest", "--scenarios", "none"], "'none' is not a valid integer"),
        (["sing"], "No such command 'sing'"),
    ],
)
def test_a_usage_error_says_what_is_wrong_and_does_nothing(
    eventproof: Any, words: list[str], says: str
) -> None:
    ended = eventproof(*words)
    assert ended.code == USAGE
    assert says in " ".join(ended.err.split())
    assert ended.out == ""
    assert not Path("reports").exists()


def test_replay_needs_exactly_one_broker(eventproof: Any) -> None:
    Path("one.json").write_bytes(encode(SMALL))
    assert eventproof("replay", "one.json").code == USAGE
    assert eventproof("replay", "one.json", "memory", "--adapter", "json:loads").code == USAGE


# what cannot be set up


def one_line(ended: Any, says: str) -> None:
    assert ended.code == BROKEN
    assert ended.out == ""
    assert ended.err.startswith("eventproof: ")
    assert len(ended.err.splitlines()) == 1
    assert says in ended.err


@pytest.mark.parametrize(
    ("option", "says"), [("lane=banana", "lane"), ("colour=red", "colour"), ("window=long", "window")]
)
def test_an_option_that_the_adapter_cannot_take_is_one_line(eventproof: Any, option: str, says: str) -> None:
    one_line(eventproof("run", "memory", "--option", option, "--scenarios", 1), says)


PERMISSIONS = "eventproof.conformance.cli.permissions"


@pytest.mark.parametrize("adapter", ["no.such.module:connect", "no-file.py:connect", "json", "json:nothing"])
def test_what_is_no_adapter_is_one_line(eventproof: Any, adapter: str) -> None:
    one_line(eventproof("run", "--adapter", adapter), "")


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["run", "nats"], "pip install 'eventproof[nats,servers]'"),
        (["permissions", "nats"], "pip install 'eventproof[all]'"),
    ],
)
def test_a_missing_client_library_is_one_line(
    eventproof: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], cure: str
) -> None:
    monkeypatch.setitem(sys.modules, "nats", None)
    for name in list(sys.modules):
        if name.startswith("nats."):
            monkeypatch.setitem(sys.modules, name, None)
        if name.startswith(("eventproof.adapters.nats", "eventproof.conformance.targets.nats", PERMISSIONS)):
            monkeypatch.delitem(sys.modules, name)
    one_line(eventproof(*arguments), cure)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "one.json: not a scenario: "),
        (b'{"colour": "red"}', "unknown field `colour`"),
        (encode(Scenario(publishers=((Publish(call=1, event=1, topic=4),),))), "call 1 names topic 4 of 1"),
    ],
)
def test_what_is_no_scenario_is_one_line(eventproof: Any, content: bytes, says: str) -> None:
    Path("one.json").write_bytes(content)
    one_line(eventproof("replay", "one.json", "memory"), says)


OURS, THEIRS = ("nats-core",), ("--adapter", "eventproof.adapters.memory:connect")


@pytest.mark.parametrize(
    ("target", "fault", "says"),
    [
        (OURS, Fault(), "broker-kill"),
        (THEIRS, Fault(do="restart"), "broker-restart"),
        (THEIRS, Fault(do="freeze", group=0), "consumer-pause"),
        ((*THEIRS, "--url", "memory://elsewhere"), Fault(group=0), "consumer-loss"),
    ],
)
def test_a_scenario_whose_faults_cannot_be_made_is_one_line(
    eventproof: Any, target: tuple[str, ...], fault: Fault, says: str
) -> None:
    plain = Scenario(groups=(Group(policy=Policy(start="latest"), consumers=(Consumer(),)),))
    Path("one.json").write_bytes(encode(replace(plain, faults=(fault,))))
    one_line(eventproof("replay", "one.json", *target), f"the scenario's {says}: consumers have to be")


def test_a_scenario_that_asks_for_what_is_not_offered_is_one_line(eventproof: Any) -> None:
    Path("one.json").write_bytes(encode(SMALL))
    one_line(eventproof("replay", "one.json", "nats-core"), "asks for what nats-core does not offer")


def test_a_folder_that_cannot_be_written_is_one_line(eventproof: Any) -> None:
    Path("file").write_text("")
    one_line(eventproof("run", "memory", "--scenarios", 1, "--report", "file/out"), "file/out")


def test_a_broker_that_cannot_be_reached_is_one_line(eventproof: Any) -> None:
    Path("theirs.py").write_text(
        "def connect(url, **options):\n    raise ConnectionRefusedError('nobody there')\n"
    )
    one_line(eventproof("run", "--adapter", "theirs.py:connect"), "nobody there")


def test_an_interrupted_run_is_one_line(eventproof: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(suite.strategies, "generate", interrupted)
    ended = eventproof("run", "memory")
    assert (ended.code, ended.out) == (BROKEN, "")
    assert ended.err.strip() == "eventproof: interrupted"


# as a process


def process(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from eventproof.conformance.cli import main; main()", *words],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **variables},
    )  # fmt: skip


def test_piped_output_has_no_colours_no_bar_and_no_broken_lines(tmp_path: Path) -> None:
    path = tmp_path / ("long-" * 20 + ".json")
    path.write_bytes(encode(SMALL))
    ended = process("replay", str(path), "memory", TERM="xterm-256color", COLUMNS="60")
    assert ended.returncode == CONFORMANT
    assert ended.stderr == ""
    assert "\x1b" not in ended.stdout
    assert "\r" not in ended.stdout
    told = [line for line in ended.stdout.splitlines() if not line.endswith("broke a claim")]
    assert all(re.match(r"^ +\d+\.\d{3} s  ", line) for line in told), "a line of the story was broken"


def test_the_process_ends_with_the_exit_code_and_without_a_traceback() -> None:
    for words, code in (
        (("explain", "XYZ-999"), USAGE),
        (("run", "--adapter", "x:y"), BROKEN),
        (("--help",), 0),
    ):
        ended = process(*words)
        assert ended.returncode == code
        assert "Traceback" not in ended.stderr


def test_without_arguments_the_help_names_every_command(eventproof: Any) -> None:
    ended = eventproof()
    assert all(command in ended.out for command in COMMANDS)
    assert "Exit codes: 0 conformant" in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_text(eventproof: Any, command: str) -> None:
    ended = eventproof(command, "--help")
    assert ended.code == CONFORMANT
    assert "Usage:" in ended.out
