"""However a run on somebody's server ends: nothing of it is left, and nothing else was touched."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import msgspec
import pytest

from eventproof.conformance.manifest import Entry, load
from eventproof.conformance.report.report import Report
from eventproof.conformance.scenario import encode
from eventproof.conformance.targets.natsserver import NatsServer
from tests.conformance.brokers import SMALL
from tests.conformance.somebodys import STREAMS, called, eventproof, somebodys

CONFORMANT, PARTIAL, BROKEN = 0, 2, 3
NAMESPACE = "eventproof-test"
WORDS = ("--namespace", NAMESPACE, "--report", "out")
RAISES = """
from contextlib import asynccontextmanager
from eventproof.conformance.targets import nats
from eventproof.conformance.targets.nats import target

class Raises:
    def __init__(self, broker):
        self._broker, self.claims = broker, broker.claims
    async def publish(self, topic, event):
        raise ZeroDivisionError("an adapter's mistake")
    def subscribe(self, topic, **given):
        return self._broker.subscribe(topic, **given)

@asynccontextmanager
async def connect(url, **options):
    async with nats.connect(url, **options) as broker:
        yield Raises(broker)
"""


def test_cnf_015_a_run_leaves_nothing_and_touches_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with somebodys() as theirs:
            before = await theirs.snapshot()
            code, run = await eventproof(
                tmp_path, "run", "nats", "--url", theirs.url, "--scenarios", 6, *WORDS
            )
            assert code == PARTIAL, run.err
            assert await theirs.snapshot() == before
            assert run.err == ""
            assert f"under {NAMESPACE}; nothing is left there" in " ".join(run.out.split())

    asyncio.run(story())
    listed = load(tmp_path / "out" / "manifest.jsonl")
    assert listed.ended
    assert len(listed.topics) >= 6


def test_a_run_whose_adapter_raises_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(RAISES)

    async def story() -> None:
        async with somebodys() as theirs:
            before = await theirs.snapshot()
            words = ("--adapter", "theirs.py:connect", "--url", theirs.url, "--scenarios", 4, "--budget", 1)
            code, run = await eventproof(tmp_path, "run", *words, *WORDS)
            assert code == 1, run.err
            assert "an adapter's mistake" in run.out
            assert await theirs.snapshot() == before

    asyncio.run(story())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    async def story() -> None:
        async with somebodys() as theirs:
            before = await theirs.snapshot()
            async with (
                theirs.creations() as made,
                called(tmp_path, "run", "nats", "--url", theirs.url, *WORDS) as run,
            ):
                await made(20)
                run.process.send_signal(how)
                assert await asyncio.wait_for(run.ended(), 10) == BROKEN
                assert (run.out, run.err.strip()) == ("", "eventproof: interrupted")
            assert await theirs.snapshot() == before

    asyncio.run(story())
    assert load(tmp_path / "out" / "manifest.jsonl").ended


def test_what_a_killed_run_leaves_expires_and_is_removed_by_cleanup(tmp_path: Path) -> None:
    async def story() -> None:
        async with somebodys() as theirs:
            before = await theirs.snapshot()
            async with (
                theirs.creations() as made,
                called(tmp_path, "run", "nats", "--url", theirs.url, *WORDS) as run,
            ):
                await made(20)
                run.process.kill()
                await run.process.wait()
            words = ("run", "nats", "--url", theirs.url, "--scenarios", 1)
            code, refused = await eventproof(tmp_path, *words, *WORDS)
            assert (code, refused.out) == (BROKEN, "")
            assert "eventproof cleanup" in refused.err
            code, refused = await eventproof(tmp_path, *words, "--namespace", NAMESPACE, "--report", "else")
            assert code == BROKEN
            assert re.search(rf"an earlier run left \d+ streams of the namespace {NAMESPACE}", refused.err)

            after = await theirs.snapshot()
            left = set(after) - set(before)
            assert len(left) > 10
            assert all(name.startswith(f"{NAMESPACE}~{NAMESPACE}-") for name in left)
            for name in left:
                info, consumers = after[name]
                assert 0 < info["config"]["max_age"] <= 3600e9
                assert all(0 < one["config"]["inactive_threshold"] <= 3600e9 for one in consumers)

            code, cleanup = await eventproof(tmp_path, "cleanup", "out/manifest.jsonl")
            assert code == CONFORMANT, cleanup.err
            assert cleanup.out.count("removed ") == len(left)
            assert await theirs.snapshot() == before
            code, again = await eventproof(tmp_path, "cleanup", "out/manifest.jsonl", "--url", theirs.url)
            assert (code, again.out[:5]) == (CONFORMANT, "0 of ")
            assert await theirs.snapshot() == before

    asyncio.run(story())


def written(folder: Path, *lines: object) -> Path:
    """A manifest by hand."""
    path = folder / "manifest.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return path


def test_cleanup_removes_what_is_listed_and_says_what_is_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with somebodys() as theirs:
            header = {"target": "nats", "url": theirs.url, "namespace": NAMESPACE}
            named = [f"{NAMESPACE}-1-t0", f"{NAMESPACE}-2-t0"]
            entries = [Entry(kind="topic", name=name) for name in named]
            manifest = written(tmp_path, header, *entries)
            js = theirs.admin.jetstream()
            for name in (named[0], f"{NAMESPACE}-9-t0"):
                await js.add_stream(name=f"{NAMESPACE}~{name}", subjects=[f"{NAMESPACE}.{name}.>"])
            code, cleanup = await eventproof(tmp_path, "cleanup", manifest)
            assert code == CONFORMANT
            assert f"removed {named[0]}" in cleanup.out
            assert f"not in this manifest, and stay: {NAMESPACE}-9-t0" in " ".join(cleanup.out.split())
            assert set(await theirs.streams()) == {*STREAMS, f"{NAMESPACE}~{NAMESPACE}-9-t0"}

    asyncio.run(story())


def test_cleanup_refuses_a_name_outside_of_the_namespace(tmp_path: Path) -> None:
    async def story() -> None:
        async with somebodys() as theirs:
            before = await theirs.snapshot()
            header = {"target": "nats", "url": theirs.url, "namespace": NAMESPACE}
            entries = [Entry(kind="topic", name=name) for name in (f"{NAMESPACE}-1-t0", "ORDERS")]
            manifest = written(tmp_path, header, *entries)
            code, refused = await eventproof(tmp_path, "cleanup", manifest)
            assert (code, refused.out) == (BROKEN, "")
            assert "lists 'ORDERS', outside of its namespace" in refused.err
            assert await theirs.snapshot() == before

    asyncio.run(story())


def test_a_dry_run_creates_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with somebodys() as theirs, theirs.creations() as _:
            made = await theirs.admin.subscribe("$JS.EVENT.ADVISORY.*.CREATED.>")
            before = await theirs.snapshot()
            code, dry = await eventproof(tmp_path, "run", "nats", "--url", theirs.url, "--dry-run", *WORDS)
            assert (code, dry.err) == (CONFORMANT, "")
            assert "nothing was created" in dry.out
            assert f"{NAMESPACE}~*" in dry.out
            assert f'    "{NAMESPACE}.>"\n' in dry.out
            assert await theirs.snapshot() == before
            assert made.pending_msgs == 0

    asyncio.run(story())
    assert list(tmp_path.iterdir()) == []


def test_a_replay_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(encode(SMALL))

    async def story() -> None:
        async with somebodys() as theirs:
            before = await theirs.snapshot()
            words = (
                "replay",
                "one.json",
                "nats",
                "--url",
                theirs.url,
                "--namespace",
                NAMESPACE,
                "--times",
                3,
            )
            code, replay = await eventproof(tmp_path, *words)
            assert (code, replay.err) == (CONFORMANT, "")
            assert "0 of 3 runs broke a claim" in replay.out
            assert f"to {NAMESPACE}-1-t0" in replay.out
            assert await theirs.snapshot() == before

    asyncio.run(story())
    assert load(next(tmp_path.glob("reports/replay-*/manifest.jsonl"))).ended


def test_core_nats_leaves_nothing_and_is_stored_by_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with somebodys() as theirs:
            before = await theirs.snapshot()
            words = ("run", "nats-core", "--url", theirs.url, *WORDS)
            code, run = await eventproof(tmp_path, *words, "--scenarios", 6)
            assert (code, run.err) == (PARTIAL, "")
            assert f"under {NAMESPACE}; nothing is left there" in " ".join(run.out.split())
            assert await theirs.snapshot() == before

            await theirs.admin.jetstream().add_stream(name="MORE", subjects=[f"{NAMESPACE}.*.>"])
            code, refused = await eventproof(tmp_path, *words)
            assert (code, refused.out) == (BROKEN, "")
            assert f"the subjects {NAMESPACE}.> overlap with those of the stream MORE" in refused.err

    asyncio.run(story())


async def printed(folder: Path, target: str) -> str:
    """The permissions that a dry run tells."""
    async with somebodys(populated=False) as theirs:
        code, dry = await eventproof(folder, "run", target, "--url", theirs.url, "--dry-run", *WORDS)
        assert (code, dry.err) == (CONFORMANT, "")
        return dry.out[dry.out.index("permissions {") :]


@pytest.mark.parametrize(("target", "count"), [("nats", 12), ("nats-core", 6)])
def test_a_run_and_its_cleanup_need_no_more_than_the_permissions_that_it_prints(
    tmp_path: Path, target: str, count: int
) -> None:
    allowed = asyncio.run(printed(tmp_path, target))
    users = f"{{user: admin, password: admin}}, {{user: suite, password: suite, {allowed}}}"
    authorization = f"authorization {{ users: [{users}] }}\n".replace("{", "{{").replace("}", "}}")
    strict = type("Strict", (NatsServer,), {"config": NatsServer.config + authorization})

    async def story() -> None:
        async with somebodys(strict, "admin:admin@") as theirs:
            before = await theirs.snapshot()
            env = {**os.environ, "BROKER": theirs.url.replace("://", "://suite:suite@")}
            words = ("run", target, "--url", "env:BROKER", "--scenarios", count, *WORDS)
            code, run = await eventproof(tmp_path, *words, env=env)
            assert code == PARTIAL, run.out + run.err
            found = msgspec.json.decode((tmp_path / "out" / "report.json").read_bytes(), type=Report)
            assert found.counts.unproven == found.counts.indeterminate == 0
            assert not [one for one in found.verdicts if one.state in {"fail", "hang"}]
            assert (await eventproof(tmp_path, "cleanup", "out/manifest.jsonl", env=env))[0] == CONFORMANT
            assert await theirs.snapshot() == before

    asyncio.run(story())
