"""Lines out of chunks of bytes."""

from __future__ import annotations

from collections.abc import Iterator

from eventproof.conformance.driver.lines import LONGEST, Malformed


class Splitter:
    """What was read and is no whole line yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that this chunk ends, without their line feeds. Raises Malformed for one that is longer
        than `LONGEST`."""
        first, *others = data.split(b"\n")
        self._add(first)
        for piece in others:
            line = b"".join(self._pieces)
            self._pieces, self._size = [], 0
            yield line
            self._add(piece)

    def _add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > LONGEST:
            raise Malformed(f"a line of more than {LONGEST} bytes", b"".join(self._pieces))
