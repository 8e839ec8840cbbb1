"""The manifest and the guard: what is made is listed before, and nothing else is made or removed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventproof.adapters.errors import Indeterminate
from eventproof.conformance.manifest import Entry, Header, InvalidManifest, Manifest, load
from eventproof.conformance.targets import namespace
from eventproof.conformance.targets.facilities import facilities
from eventproof.conformance.targets.guard import LeftBehind, OutsideNamespace, guarded
from eventproof.schemas.validation import problems, validator

NAMESPACE = "eventproof-a"
HEADER = Header(target="nats", url="env:URL", namespace=NAMESPACE, options={"deadline": 3})
TOPICS = tuple(f"{NAMESPACE}-{number}-t0" for number in range(3))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(tmp_path / "folder" / "manifest.jsonl")


# names


@pytest.mark.parametrize("good", ["eventproof-a", "eventproof-2026_x-Y", "eventproof-" + "x" * 40])
def test_a_namespace_begins_with_our_name(good: str) -> None:
    namespace.check(good)


@pytest.mark.parametrize(
    "bad", ["", "eventproof", "eventproof-", "mine", "Eventproof-a", "eventproof-a.b", "eventproof-a*",
            "eventproof-a b", "eventproof->", "eventproof-a\n", "eventproof-" + "x" * 41, "x-eventproof-a"]
)  # fmt: skip
def test_any_other_namespace_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="a namespace is eventproof- and then"):
        namespace.check(bad)


def test_each_run_has_a_namespace_of_its_own() -> None:
    fresh = {namespace.fresh() for _ in range(20)}
    assert len(fresh) == 20
    for one in fresh:
        namespace.check(one)


def test_a_topic_is_owned_by_its_beginning_up_to_a_dash() -> None:
    assert namespace.owns(NAMESPACE, "eventproof-a-1-t0")
    for other in ("eventproof-a", "eventproof-ab-1-t0", "eventproof", "orders", "", "x-eventproof-a-1"):
        assert not namespace.owns(NAMESPACE, other)


# the file


def test_what_is_written_is_read_and_valid_under_its_schemas(manifest: Manifest) -> None:
    manifest.begin(HEADER)
    manifest.topics(TOPICS[:2])
    manifest.topics(TOPICS[1:])
    assert manifest.unfinished
    listed = load(manifest.path)
    assert (listed.header, listed.topics, listed.ended) == (HEADER, TOPICS, False)
    manifest.end()
    assert not manifest.unfinished
    first, *rest = map(msgspec.json.decode, manifest.path.read_bytes().splitlines())
    assert problems(validator("conformance/manifest-header"), first) == []
    assert not [p for line in rest for p in problems(validator("conformance/manifest-entry"), line)]


def test_a_list_of_what_may_still_be_there_is_not_replaced(manifest: Manifest) -> None:
    manifest.begin(HEADER)
    manifest.topics(TOPICS)
    with pytest.raises(
        InvalidManifest, match=r"lists what an earlier run may have left: first eventproof cl"
    ):
        manifest.begin(HEADER)
    manifest.end()
    manifest.begin(HEADER)
    assert load(manifest.path).topics == ()


def test_a_line_that_was_cut_off_was_not_made(manifest: Manifest) -> None:
    manifest.begin(HEADER)
    manifest.topics(TOPICS)
    whole = manifest.path.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1]) + 1):
        manifest.path.write_bytes(whole[:-cut])
        assert load(manifest.path).topics == TOPICS[:2]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "line 1: "),
        (["not json"], "line 1: "),
        (["{}"], "line 1: .*missing required field `url`"),
        (['{"url":"x","namespace":"orders"}'], "line 1: a namespace is eventproof-"),
        (['{"url":"x","namespace":"eventproof-a","format":2}'], "line 1: format 2, but this version reads"),
        (['{"url":"x","namespace":"eventproof-a","more":1}'], "line 1: .*unknown field `more`"),
        (['{"url":"x","namespace":"eventproof-a"}', '{"kind":"stream","name":"y"}'], "line 2: .*'stream'"),
        (
            ['{"url":"x","namespace":"eventproof-a"}', '{"kind":"topic","name":"eventproof-b-1"}'],
            "lists 'eventproof-b-1', outside of its namespace eventproof-a: nothing was removed",
        ),
    ],
)
def test_what_is_no_manifest_is_refused_in_one_line(tmp_path: Path, lines: list[str], says: str) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InvalidManifest, match=says) as refused:
        load(path)
    assert "\n" not in str(refused.value)


# the guard


class Books:
    """A target that keeps what it is told; `fails` as often as it says."""

    def __init__(self, manifest: Manifest, fails: int = 0) -> None:
        self.manifest = manifest
        self.fails = fails
        self.made: list[str] = []

    @property
    def listed(self) -> Sequence[str]:
        return load(self.manifest.path).topics

    async def provision(self, topic: str, *, partitions: int, window: float | None) -> None:
        assert topic in self.listed, "made before it was listed"
        self.made.append(topic)

    async def remove(self, topics: Sequence[str]) -> None:
        if self.fails:
            self.fails -= 1
            raise Indeterminate("the server is away")
        for topic in topics:
            if topic in self.made:
                self.made.remove(topic)

    async def restart(self) -> None:
        raise AssertionError

    kill = revive = freeze = thaw = restart


@asynccontextmanager
async def guarding(books: Any, manifest: Manifest) -> Any:
    async with guarded(facilities(books), HEADER, manifest) as offered:
        yield offered


def test_what_is_made_is_listed_before_and_removed_in_the_end(manifest: Manifest) -> None:
    async def story() -> None:
        books = Books(manifest)
        async with guarding(books, manifest) as offered:
            faults = (offered.kill, offered.revive, offered.restart, offered.freeze, offered.thaw)
            assert set(faults) == {None}
            for topic in TOPICS:
                await offered.provision(topic, partitions=1, window=None)
            await offered.remove(TOPICS[:1])
            assert books.made == list(TOPICS[1:])
        assert books.made == []
        assert load(manifest.path).ended

    asyncio.run(story())


@pytest.mark.parametrize("name", ["orders", "eventproof-b-1-t0", "eventproof-a"])
def test_no_other_name_is_made_removed_or_listed(manifest: Manifest, name: str) -> None:
    async def story() -> None:
        books = Books(manifest)
        books.made = [name]
        async with guarding(books, manifest) as offered:
            with pytest.raises(OutsideNamespace, match=f"{name} is outside of the namespace eventproof-a"):
                await offered.provision(name, partitions=1, window=None)
            with pytest.raises(OutsideNamespace):
                await offered.remove([TOPICS[0], name])
            with pytest.raises(OutsideNamespace):
                offered.announce([name])
        assert books.made == [name]
        assert load(manifest.path).topics == ()

    asyncio.run(story())


def test_what_cannot_be_removed_is_said_with_what_to_do(manifest: Manifest) -> None:
    async def story() -> None:
        async with guarding(Books(manifest, fails=1), manifest) as offered:
            for topic in TOPICS[:2]:
                await offered.provision(topic, partitions=1, window=None)

    with pytest.raises(LeftBehind, match=r"2 topics may be left .*the server is away.*: eventproof cleanup"):
        asyncio.run(story())
    assert manifest.unfinished


def test_what_is_there_though_it_was_removed_is_left_behind(manifest: Manifest) -> None:
    class Sticky(Books):
        async def present(self) -> Sequence[str]:
            return [TOPICS[2]]

    async def story() -> None:
        with pytest.raises(LeftBehind, match=r"^1 topic may be left on the server: eventproof cleanup "):
            async with guarding(Sticky(manifest), manifest):
                pass
        assert manifest.unfinished

    asyncio.run(story())


def test_a_target_that_cannot_remove_has_its_topics_listed(manifest: Manifest) -> None:
    class Bare:
        """Offers nothing."""

    async def story() -> None:
        async with guarding(Bare(), manifest) as offered:
            assert offered.provision is offered.remove is None
            offered.announce(TOPICS)
        assert load(manifest.path).topics == TOPICS
        assert manifest.unfinished

    asyncio.run(story())


def test_an_entry_without_a_name_ends() -> None:
    assert msgspec.json.encode(Entry(kind="end")) == b'{"kind":"end"}'
