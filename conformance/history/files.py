"""Load and save a history: JSON Lines, the header first, then one record a line in recorder order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from eventproof.adapters.errors import EventproofError
from eventproof.conformance.history.collection import collection_paused
from eventproof.conformance.history.record import FORMAT, Header, History, Record

CHUNK = 10_000

_encoder = msgspec.json.Encoder()
_header = msgspec.json.Decoder(Header)
_record = msgspec.json.Decoder(Record)


class MalformedHistory(EventproofError):
    """A line of a history file says nothing that a history can say. `line` counts from 1."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(line, detail)
        self.line = line
        self.detail = detail

    def __str__(self) -> str:
        return f"line {self.line}: {self.detail}"


class TruncatedHistory(MalformedHistory):
    """The last line is cut off, as after a crash while writing. `history` holds all that precedes it."""

    def __init__(self, line: int, history: History) -> None:
        super().__init__(
            line, f"the last line is cut off; the {len(history.records)} records before it are whole"
        )
        self.history = history

    def __reduce__(self) -> tuple[type[TruncatedHistory], tuple[int, History]]:
        return type(self), (self.line, self.history)


def load(path: str | Path) -> History:
    """The history in a file.

    Raises MalformedHistory for a line that is no record, and TruncatedHistory, which carries the
    readable part, when only the last line is bad and has no line end; OSError as `open` does.
    """
    with Path(path).open("rb") as lines:
        return read_history(lines)


def read_history(lines: Iterable[bytes]) -> History:
    """The history in the lines of a file; raises as `load` does."""
    rest = iter(lines)
    header = _read_header(next(rest, b""))
    records: list[Record] = []
    append, decode, line = records.append, _record.decode, b""
    try:
        with collection_paused():
            for line in rest:
                append(decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        number = len(records) + 2
        if not line.endswith(b"\n"):
            raise TruncatedHistory(number, History(header, records)) from error
        raise MalformedHistory(number, _sentence(error)) from error
    return History(header, records)


def save(history: History, path: str | Path) -> None:
    """Write a history; raises OSError as `open` does."""
    with Path(path).open("wb") as file:
        file.writelines(write_history(history))


def write_history(history: History) -> Iterator[bytes]:
    """The lines of a history file, in chunks that end with a line."""
    yield _encoder.encode(history.header) + b"\n"
    for start in range(0, len(history.records), CHUNK):
        yield _encoder.encode_lines(history.records[start : start + CHUNK])


def _read_header(line: bytes) -> Header:
    if not line.strip():
        raise MalformedHistory(1, "the header is missing")
    try:
        header = _header.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedHistory(1, f"no header: {_sentence(error)}") from error
    if header.format != FORMAT:
        raise MalformedHistory(1, f"format {header.format}, but this version reads format {FORMAT}")
    return header


def _sentence(error: Exception) -> str:
    return str(error).splitlines()[0]
