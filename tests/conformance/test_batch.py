"""A batch as a counterexample: kept where a violation needs the scenarios beside it, and replayed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from eventproof.conformance.batch import Batch, encode, load
from eventproof.conformance.case import Case
from eventproof.conformance.execution.stage import Stage
from eventproof.conformance.explain import BATCH_RERUNS, RERUNS, Search
from eventproof.conformance.history.record import History
from eventproof.conformance.report.report import Counterexample, Together
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import (
    Consumer,
    Fault,
    Group,
    InvalidScenario,
    Publish,
    Scenario,
)
from eventproof.conformance.scenario import encode as encode_scenario
from eventproof.conformance.suite import _led
from tests.conformance.brokers import SMALL
from tests.conformance.histories import Story

LEAD = msgspec.structs.replace(SMALL, faults=(Fault(ticks=1),))
FOLLOWER = Scenario(publishers=((Publish(call=1, event=1),),), groups=(Group(consumers=(Consumer(),)),))


# the file


def test_a_file_holds_a_batch_or_one_scenario(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(encode(Batch((LEAD, FOLLOWER))))
    assert load(path) == (LEAD, FOLLOWER)
    path.write_bytes(encode_scenario(LEAD))
    assert load(path) == (LEAD,)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"{", "not a scenario: "),
        (b"\xff", "not a scenario: "),
        (b'{"scenarios": 1}', "not a batch: Expected `array`"),
        (b'{"scenarios": []}', "not a batch: it has no scenario"),
        (b'{"scenarios": [{"colour": "red"}]}', "unknown field `colour`"),
        (
            encode(Batch((Scenario(publishers=((Publish(call=1, event=1, topic=4),),)),))),
            "names topic 4 of 1",
        ),
        (b'{"format": 9, "scenarios": [{}]}', "Invalid value 9"),
    ],
)
def test_a_file_that_is_neither_is_named_with_what_is_wrong(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "one.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidScenario, match=r"one\.json: ") as refused:
        load(path)
    assert says in str(refused.value)


def test_replay_runs_all_scenarios_of_a_batch(eventproof: Any) -> None:
    Path("batch.json").write_bytes(encode(Batch((LEAD, FOLLOWER))))
    ended = eventproof("replay", "batch.json", "memory", "--times", 2, "--save", "out")
    assert ended.code == 0, ended.err
    assert "0 of 4 runs broke a claim" in ended.out
    assert len(list(Path("out/histories").iterdir())) == 4


# the counterexample


def test_a_case_knows_whom_it_met_a_fault_with() -> None:
    batches = [[(1, LEAD), (0, FOLLOWER)], [(3, LEAD)], [(2, FOLLOWER), (4, FOLLOWER)]]
    assert dict(_led(batches)) == {0: (LEAD, FOLLOWER), 1: (LEAD, FOLLOWER)}


class Beside:
    """A stage on which an event is lost while a fault meets several scenarios, and never else."""

    def __init__(self) -> None:
        self.runs: list[tuple[Scenario, ...]] = []

    async def run(self, scenarios: Sequence[Scenario]) -> list[History]:
        self.runs.append(tuple(scenarios))
        together = LEAD in scenarios and FOLLOWER in scenarios
        return [lost() if together and one == FOLLOWER else kept() for one in scenarios]


def lost() -> History:
    return told(publishes=1)


def kept() -> History:
    return told(publishes=0)


def told(publishes: int) -> History:
    story = Story()
    story.join()
    for _ in range(publishes):
        story.publish()
    story.drain()
    return story.history()


def explained(case: Case, folder: Path, stage: Beside) -> Counterexample:
    search = Search(cast("Stage", stage), "B2", lambda: True)
    return asyncio.run(search.counterexample([case], ("DLV-001",), folder))


def test_what_never_shows_alone_is_kept_with_its_batch(tmp_path: Path) -> None:
    stage, history = Beside(), lost()
    example = explained(Case(7, FOLLOWER, history, judge(history), (LEAD, FOLLOWER)), tmp_path, stage)
    assert (example.shown, example.reruns) == (0, RERUNS)
    assert example.batch == Together("counterexamples/B2/batch.json", BATCH_RERUNS, BATCH_RERUNS)
    assert load(tmp_path / example.batch.file) == (LEAD, FOLLOWER)
    assert stage.runs[-BATCH_RERUNS:] == [(LEAD, FOLLOWER)] * BATCH_RERUNS


def test_what_shows_alone_needs_no_batch(tmp_path: Path) -> None:
    class Always(Beside):
        async def run(self, scenarios: Sequence[Scenario]) -> list[History]:
            self.runs.append(tuple(scenarios))
            return [lost() for _ in scenarios]

    history = lost()
    example = explained(Case(7, FOLLOWER, history, judge(history), (LEAD, FOLLOWER)), tmp_path, Always())
    assert example.shown == RERUNS
    assert example.batch is None
    assert not (tmp_path / "counterexamples/B2/batch.json").exists()
