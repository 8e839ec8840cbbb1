"""Other people's code may raise anything; here, and nowhere else, anything is caught."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from eventproof.adapters.errors import EventproofError
from eventproof.adapters.secret import redacted


class ForeignError(EventproofError):
    """An adapter or its target raised something that is not of the port. trace: its traceback, redacted."""

    def __init__(self, where: str, trace: str) -> None:
        super().__init__(where, trace)
        self.where = where
        self.trace = trace

    def __str__(self) -> str:
        return f"{self.where}: {self.trace.strip().splitlines()[-1]}"


@contextmanager
def foreign(where: str) -> Iterator[None]:
    """Call an adapter: what is not an EventproofError becomes a ForeignError, saying where it happened."""
    try:
        yield
    except EventproofError:
        raise
    except Exception as error:  # an adapter may raise anything; it becomes a finding, never silence
        raise ForeignError(where, redacted(traceback.format_exc())) from error
