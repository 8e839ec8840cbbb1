"""Lies are caught: real mistakes on a real server, each judged by what its author believes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec
import pytest

from eventproof.adapters.claims import Claims, Deduplication, Ordering, Redelivery
from eventproof.conformance import strategies
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.targets.natsserver import NatsServer
from tests.misconfigured.judging import (
    Judged,
    anyhow,
    away,
    broken,
    crowded,
    does,
    held_off,
    repeats,
    run,
)

DRAWN, SEED = 320, 7
AT_ONCE = 3  # adapters: they share the loop with what judges them, and that must not be what is late


@dataclass(frozen=True)
class Lie:
    """A mistake, and what the suite is to make of it.

    anomaly: what has to be found. also: what it entails beside that. occasion: what a scenario needs to bring
    it out. operations: of the counterexample, at most. truth: from what the author claims to what the adapter
    really keeps.
    """

    name: str
    anomaly: str
    truth: Callable[[Claims], Claims]
    also: frozenset[str] = frozenset()
    operations: int = 8
    occasion: Callable[[Scenario], bool] = anyhow


def but(**claims: object) -> Callable[[Claims], Claims]:
    return partial(msgspec.structs.replace, **claims)


LIES = (
    Lie("nak_without_delay", "E3", but(backoff="none"), occasion=held_off),
    Lie("core_nats", "B2", but(loss="may"), also=frozenset({"B1", "B5", "B6"}), occasion=away),
    Lie(
        "shared_durable",
        "D2",
        but(ordering=Ordering(scope="key", strictness="first-delivery")),
        also=frozenset({"D4"}),
        operations=12,
        occasion=crowded,
    ),
    Lie("no_message_id", "C5", but(publish_dedup=Deduplication()), occasion=repeats),
    Lie(
        "auto_ack",
        "B3",
        but(loss="may", redelivery=Redelivery()),
        also=frozenset({"B1", "B2", "B4", "B5", "B6"}),
        occasion=does("nack", "leave", "abandon"),
    ),
    Lie("retry_after_timeout", "C4", but(idempotent_publish=False)),
)


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    server = NatsServer()
    try:
        asyncio.run(server.start())
        yield server
    finally:
        asyncio.run(server.remove())


@pytest.fixture(scope="module")
def judged(server: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Judged]:
    """A few side by side: most of their time is spent waiting."""
    drawn = strategies.generate(DRAWN, SEED)
    folder = tmp_path_factory.mktemp("misconfigured")

    async def all_of_them() -> list[Judged]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(lie: Lie) -> Judged:
            async with room:
                return await run(lie.name, lie.anomaly, server.url, drawn, lie.occasion, folder / lie.name)

        return await asyncio.gather(*map(one, LIES))

    return dict(zip((lie.name for lie in LIES), asyncio.run(all_of_them()), strict=True))


each = pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)


@each
def test_cnf_001_the_mistake_is_found_and_nothing_else(lie: Lie, judged: Mapping[str, Judged]) -> None:
    found = broken(judged[lie.name].verdicts)
    assert lie.anomaly in found
    assert found <= {lie.anomaly} | lie.also


@each
def test_the_counterexample_is_small_and_shows_it_again(lie: Lie, judged: Mapping[str, Judged]) -> None:
    example = judged[lie.name].counterexample
    assert example is not None
    assert example.operations <= lie.operations, example.story
    assert example.shown
    assert any(line.startswith("→") for line in example.story)


@each
def test_the_same_histories_accuse_nobody_of_what_is_not_claimed(
    lie: Lie, judged: Mapping[str, Judged]
) -> None:
    found = judged[lie.name].by(lie.truth(judged[lie.name].claims))
    assert not broken(found)
    assert {"DLV-003", "DLV-011"} <= {verdict.requirement for verdict in found if verdict.state == "pass"}
