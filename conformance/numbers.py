"""A byte string, read as the small integers that scenarios are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


class Numbers:
    """Reads a byte string as small integers."""

    def __init__(self, noise: bytes) -> None:
        self._rest = iter(noise)

    def below(self, end: int) -> int:
        """The next number, of 0 to end - 1; `end` is 256 at most."""
        return next(self._rest) % end

    def pick(self, choices: Sequence[Choice]) -> Choice:
        return choices[self.below(len(choices))]
