"""`run` and `replay` on a server that is not ours: what is refused, what caps do, what the report says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventproof.adapters.errors import Rejected
from eventproof.conformance.execution.stage import run_on, stage
from eventproof.conformance.execution.visiting import Guest
from eventproof.conformance.history.files import load as load_history
from eventproof.conformance.manifest import Header, Manifest, load
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.report.report import Report
from eventproof.conformance.scenario import Payload, Publish, Scenario, encode
from eventproof.conformance.strategies import generate
from eventproof.conformance.targets.memory import MemoryTarget, connect
from eventproof.conformance.targets.visit import Caps, Demand, Terms, Visit
from tests.conformance.brokers import SMALL
from tests.conformance.somebodys import eventproof as process
from tests.conformance.somebodys import somebodys
from tests.conformance.targets.proxy import proxy

CONFORMANT, FAILED, PARTIAL, BROKEN, USAGE = range(5)
NAMESPACE = "eventproof-test"
WORDS = ("--namespace", NAMESPACE, "--report", "out")
THEIRS = """
from contextlib import asynccontextmanager
from eventproof.adapters import memory

@asynccontextmanager
async def connect(url, **options):
    async with memory.connect(url, max_payload=16384, **options) as broker:
        yield broker
"""
TARGET = """
class target:
    clock = "virtual"
"""


@pytest.fixture
def theirs(tmp_path: Path) -> str:
    """An adapter of somebody's, whose broker is in the process, on simulated time."""
    (tmp_path / "theirs.py").write_text(THEIRS + TARGET)
    return f"{tmp_path / 'theirs.py'}:connect"


def report() -> Report:
    return msgspec.json.decode(Path("out/report.json").read_bytes(), type=Report)


# usage


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "nats", "--rate", "5"], "--rate is for a server that is not ours: give its --url"),
        (["run", "nats", "--dry-run", "--at-once", "3"], "--at-once, --dry-run is for a server that is not"),
        (["run", "nats", "--allow-large"], "--allow-large is for a server that is not ours"),
        (["run", "nats", "--namespace", "eventproof-a"], "--namespace is for a server that is not ours"),
        (["run", "memory", "--url", "memory://x"], "the memory broker is in this process and has no URL"),
        (["run", "nats", "--url", "x", "--namespace", "mine"], "a namespace is eventproof- and then"),
        (["run", "nats", "--url", "x", "--at-once", "0"], "0 is not in the range"),
        (["run", "nats", "--url", "x", "--rate", "0"], "0 is not in the range"),
        (["run", "nats", "--url", "x", "--max-bytes", "0"], "0 is not in the range"),
        (["run", "nats", "--url", "x", "--max-duration", "0"], "0.0 is not in the range"),
        (["replay", "one.json", "nats", "--max-bytes", "7"], "--max-bytes is for a server that is not ours"),
        (["cleanup"], "Missing argument 'MANIFEST'"),
        (["cleanup", "missing.jsonl"], "File 'missing.jsonl' does not exist"),
    ],
)
def test_a_usage_error_says_what_is_wrong(eventproof: Any, words: list[str], says: str) -> None:
    Path("one.json").write_bytes(encode(SMALL))
    ended = eventproof(*words)
    assert (ended.code, ended.out) == (USAGE, "")
    assert says in " ".join(ended.err.split())
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--url", "env:NO_SUCH"], "the environment variable NO_SUCH is not set"),
        (["--url", "file:nowhere"], "the file nowhere cannot be read"),
        (["--url", "nats://127.0.0.1:9"], "no NATS server answers at 127.0.0.1:9"),
        (["--url", "nats://127.0.0.1:9", "--option", "prefix=x"], "the option prefix is the --namespace"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["run", "dry-run"])
def test_what_cannot_be_is_one_line_and_writes_no_manifest(
    eventproof: Any, words: list[str], says: str, more: list[str]
) -> None:
    ended = eventproof("run", "nats", *words, *more, "--option", "connect_timeout=0.5", "--report", "out")
    assert (ended.code, ended.out) == (BROKEN, "")
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not Path("out/manifest.jsonl").exists()


def test_an_oversize_replay_needs_leave(eventproof: Any, theirs: str) -> None:
    one = Scenario(payloads=(Payload(kind="oversize"),), publishers=((Publish(call=1, event=1),),))
    Path("one.json").write_bytes(encode(one))
    words = ("replay", "one.json", "--adapter", theirs, "--url", "memory://x")
    ended = eventproof(*words)
    assert ended.code == USAGE
    assert "give --allow-large" in " ".join(ended.err.split())
    assert "too-large" in eventproof(*words, "--allow-large").out


# anybody's adapter


def test_anybodys_adapter_gets_the_url_the_caps_and_names_of_the_namespace(
    eventproof: Any, theirs: str
) -> None:
    ended = eventproof("run", "--adapter", theirs, "--url", "memory://x", "--scenarios", 30, *WORDS)
    assert ended.code == PARTIAL
    told = " ".join(ended.out.split())
    assert "the adapter's target has no preflight" in told
    assert "those that the manifest lists stay on the server" in told
    assert "nothing is left there" not in told
    seen = set()
    for path in Path("out/histories").glob("*.jsonl"):
        header = load_history(path).header
        for group in header.groups:
            assert group.name.startswith(f"{NAMESPACE}-g")
            seen |= {group.topic, group.policy.dead_letter} - {None}
        seen |= {topic.name for topic in header.topics}
    assert all(name.startswith(f"{NAMESPACE}-") for name in seen)
    assert seen == set(load(Path("out/manifest.jsonl")).topics)
    visit = report().visit
    assert visit is not None
    assert (visit.url, visit.namespace, visit.caps) == ("memory://x", NAMESPACE, Caps())


def test_a_dry_run_of_anybodys_adapter_says_what_is_not_known(eventproof: Any, theirs: str) -> None:
    ended = eventproof("run", "--adapter", theirs, "--url", "memory://x", "--dry-run", *WORDS)
    assert ended.code == CONFORMANT
    assert f"up to 64 topics at once: {NAMESPACE}-*" in ended.out
    assert "has no preflight" in " ".join(ended.out.split())
    assert not Path("out").exists()


def test_what_a_target_cannot_remove_cleanup_does_not_claim_to_remove(eventproof: Any, theirs: str) -> None:
    eventproof("run", "--adapter", theirs, "--url", "memory://x", "--scenarios", 2, *WORDS)
    ended = eventproof("cleanup", "out/manifest.jsonl")
    assert (ended.code, ended.out) == (BROKEN, "")
    assert "cannot remove topics: remove them by hand" in ended.err


# what is not checked


def test_without_leave_for_large_payloads_what_needs_them_is_not_checked(
    eventproof: Any, theirs: str
) -> None:
    words = ("run", "--adapter", theirs, "--url", "memory://x", "--scenarios", 60, *WORDS)
    eventproof(*words)
    verdicts = {one.requirement: one for one in report().verdicts}
    assert (verdicts["PUB-002"].state, verdicts["PUB-002"].evidence) == ("not checked", "needs --allow-large")
    assert not [path for path in Path("out/scenarios").glob("*.json") if b"oversize" in path.read_bytes()], (
        "a scenario is saved as it was run"
    )
    Path("out/manifest.jsonl").unlink()
    eventproof(*words, "--allow-large")
    assert {one.requirement: one.state for one in report().verdicts}["PUB-002"] == "pass"


# the caps


def test_a_cap_on_bytes_ends_the_run_and_makes_it_partial(eventproof: Any, theirs: str) -> None:
    words = ("run", "--adapter", theirs, "--url", "memory://x", "--scenarios", 300, "--profile", "ordered")
    ended = eventproof(*words, "--max-bytes", 12_000_000, *WORDS)
    assert ended.code == PARTIAL
    found = report()
    assert found.visit is not None
    assert found.visit.ended == "--max-bytes of 12000000 reached"
    assert 40 < found.counts.scenarios < 300
    assert {one.state for one in found.verdicts if one.profile == "ordered"} <= {"pass", "not claimed"}
    assert found.profiles == {"ordered": "partial"}, "nothing is conformant by what was left out"
    said = f"--max-bytes of 12000000 reached after {found.counts.scenarios} of 300 scenarios"
    assert said in " ".join(ended.out.split())
    assert len(list(Path("out/histories").glob("*.jsonl"))) == found.counts.scenarios


def test_a_cap_that_lets_nothing_begin_judges_nothing(eventproof: Any, theirs: str) -> None:
    words = ("run", "--adapter", theirs, "--url", "memory://x", "--scenarios", 3, "--max-bytes", 1)
    assert eventproof(*words, *WORDS).code == PARTIAL
    assert report().counts.scenarios == 0
    assert {one.state for one in report().verdicts} <= {"inconclusive", "not claimed", "not checked"}


def test_a_replay_that_a_cap_ends_is_partial(eventproof: Any, theirs: str) -> None:
    Path("one.json").write_bytes(encode(SMALL))
    words = ("replay", "one.json", "--adapter", theirs, "--url", "memory://x", "--times", 3)
    ended = eventproof(*words, "--max-bytes", 60_000)
    assert ended.code == PARTIAL
    assert re.search(r"a cap kept [12] of 3 runs from beginning", ended.out)


class Counting(MemoryTarget):
    """Counts the scenarios that are there at once."""

    clock = "real"
    tick = 0.02

    def __init__(self) -> None:
        super().__init__()
        self.there: set[str] = set()
        self.most = 0

    async def preflight(self, visit: Visit, demand: Demand) -> Terms:
        return Terms(at_once=2)

    async def provision(self, topic: str, **given: Any) -> None:
        self.there.add(topic.rpartition("-t")[0])
        self.most = max(self.most, len(self.there))
        await super().provision(topic, **given)

    async def remove(self, topics: Any) -> None:
        await super().remove(topics)
        self.there -= {topic.rpartition("-t")[0] for topic in topics}


def guest(folder: Path, caps: Caps, options: Mapping[str, Any] | None = None) -> Guest:
    visit = Visit(url="memory://visited", namespace=NAMESPACE, caps=caps, options=options or {})
    header = Header(url=visit.url, namespace=NAMESPACE)
    return Guest(visit=visit, demand=Demand(1, 1, 1), header=header, manifest=Manifest(folder / "m.jsonl"))


def test_no_more_scenarios_run_at_once_than_the_preflight_found_room_for(tmp_path: Path) -> None:
    target = Counting()

    async def story() -> None:
        async with stage(
            Plugin("counting", connect, target), name="", url=None, options={}, claims=lambda claims: claims,
            guest=guest(tmp_path, Caps()),
        ) as on:  # fmt: skip
            await on.run([SMALL] * 6)

    run_on("real", story)
    assert target.most == 2


def test_when_one_scenario_fails_the_others_have_removed_theirs_before_the_run_ends(tmp_path: Path) -> None:
    class Full(Counting):
        async def provision(self, topic: str, **given: Any) -> None:
            if topic.startswith(f"{NAMESPACE}-4-"):
                raise Rejected("full", "no room for a fourth")
            await super().provision(topic, **given)

    target = Full()

    async def story() -> None:
        async with stage(
            Plugin("full", connect, target), name="", url=None, options={}, claims=lambda claims: claims,
            guest=guest(tmp_path, Caps()),
        ) as on:  # fmt: skip
            with pytest.raises(Rejected, match="no room for a fourth"):
                await on.run([SMALL] * 6)
            assert target.there == set()

    run_on("real", story)


@pytest.mark.parametrize("rate", [7, 24])
def test_no_more_events_are_published_in_a_second_than_the_rate(tmp_path: Path, rate: int) -> None:
    """By what was recorded: what waits for its turn has not been invoked."""
    drawn = [scenario for scenario in generate(60, 9) if len(scenario.publishes) > 25][:3]

    async def story() -> list[Any]:
        async with stage(
            Plugin("memory", connect, MemoryTarget()), name="", url=None, options={},
            claims=lambda claims: claims, guest=guest(tmp_path, Caps(rate=rate, at_once=1)),
        ) as on:  # fmt: skip
            return await on.run(drawn)

    for history in run_on("virtual", story):
        times = [r.t for r in history.records if r.kind == "publish.invoke"]
        assert len(times) > rate
        assert all(b - a >= 999_999_000 for a, b in zip(times, times[rate:], strict=False))
        kinds = {record.kind for record in history.records}
        assert "publish.indeterminate" not in kinds
        ended = sum(r.kind in {"publish.ok", "publish.rejected"} for r in history.records)
        assert ended == len(times)
        assert sum(r.kind == "drained" and bool(r.group) for r in history.records) == len(
            history.header.groups
        )


# a whole run on a real server


def test_a_server_that_is_far_away_gets_longer_ticks(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(encode(SMALL))

    async def story() -> None:
        async with somebodys(populated=False) as theirs, proxy(theirs.url, delay=0.02) as url:
            words = ("replay", "one.json", "nats", "--url", url, "--times", 2, "--save", "out")
            code, run = await process(tmp_path, *words)
            assert (code, run.err) == (CONFORMANT, "")

    asyncio.run(story())
    for path in (tmp_path / "out" / "histories").glob("*.jsonl"):
        history = load_history(path)
        assert 0.4 <= history.header.tick < 0.6
        assert history.header.within == 40 * history.header.tick
        assert sum(record.kind == "drained" for record in history.records) == 2
