"""Histories on disk: what is written comes back, and what cannot be read is said by its line."""

from __future__ import annotations

import pickle
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings

from eventproof.conformance.history.files import (
    MalformedHistory,
    TruncatedHistory,
    load,
    read_history,
    save,
    write_history,
)
from eventproof.conformance.history.record import History
from tests.conformance.histories import Story
from tests.conformance.rules.random_histories import histories


def story() -> History:
    told = Story()
    told.handle(told.join(), told.publish("ключ"))
    told.log((1, "1"))
    told.drain()
    return told.history()


def written(history: History) -> list[bytes]:
    return b"".join(write_history(history)).splitlines(keepends=True)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    history, path = story(), tmp_path / "history.jsonl"
    save(history, path)
    assert load(path) == history
    assert path.read_bytes().count(b"\n") == 1 + len(history.records)


@given(history=histories())
@settings(max_examples=30, deadline=None)
def test_any_history_comes_back(history: History) -> None:
    assert read_history(written(history)) == history


def test_a_history_without_records_is_whole() -> None:
    history = Story().history()
    assert read_history(written(history)) == history


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"{}\n", "`i`"),
        (b"not json\n", "JSON"),
        (b'{"i":1,"t":1,"kind":"end","colour":"red"}\n', "colour"),
        (b'{"i":"1","t":1,"kind":"end"}\n', "int"),
        (b"\n", "truncated"),
        (b'{"i":1,"t":1,"kind":"\xff"}\n', "utf-8"),
    ],
)
def test_a_bad_line_is_named(bad: bytes, says: str) -> None:
    lines = written(story())
    lines[3] = bad
    with pytest.raises(MalformedHistory) as raised:
        read_history(lines)
    assert raised.value.line == 4
    assert str(raised.value).startswith("line 4: ")
    assert says in str(raised.value)
    assert not isinstance(raised.value, TruncatedHistory)


def test_a_last_line_that_is_cut_off_costs_only_itself() -> None:
    history = story()
    lines = written(history)
    lines[-1] = lines[-1][:-5]
    with pytest.raises(TruncatedHistory) as raised:
        read_history(lines)
    assert list(raised.value.history.records) == list(history.records)[:-1]
    assert str(raised.value) == (
        f"line {len(lines)}: the last line is cut off; the {len(lines) - 2} records before it are whole"
    )
    assert pickle.loads(pickle.dumps(raised.value)).history == raised.value.history


def test_a_last_line_that_lacks_only_its_end_is_whole() -> None:
    history = story()
    assert read_history([*written(history)[:-1], written(history)[-1].rstrip(b"\n")]) == history


@pytest.mark.parametrize(
    ("header", "says"),
    [(b"", "the header is missing"), (b'{"i":1,"t":1,"kind":"end"}\n', "no header"), (b"{\n", "no header")],
)
def test_a_bad_header_is_named(header: bytes, says: str) -> None:
    with pytest.raises(MalformedHistory, match=f"^line 1: {says}"):
        read_history([header])


def test_another_format_is_refused() -> None:
    header = msgspec.structs.replace(story().header, format=99)
    with pytest.raises(MalformedHistory, match="format 99"):
        read_history(written(History(header, [])))


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.jsonl")
