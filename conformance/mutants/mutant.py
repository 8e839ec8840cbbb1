"""What a mutant is: the memory broker with one step wrong, once in a while.

A mutant misbehaves at one opportunity in five at most, chosen by what the opportunity is about and not by
how many there were before: so it does the same in a smaller scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.adapters.memory import Engine

ONE_IN = 5


def rarely(*what: object) -> bool:
    """True for one in five of all things, and always for the same ones."""
    digest = blake2b(repr(what).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % ONE_IN == 0


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """A broken broker. anomaly: the code that must find it. fault: the name of
    the one under which it is broken, "" for none. options: how the memory broker is configured.
    claims: from what such a memory broker claims to what this one does."""

    anomaly: str
    fault: str = ""
    engine: type[Engine]
    options: Mapping[str, Any] = {}
    claims: Callable[[Claims], Claims] = lambda claims: claims

    @property
    def name(self) -> str:
        return self.engine.__name__

    @property
    def summary(self) -> str:
        return (self.engine.__doc__ or "").strip()
