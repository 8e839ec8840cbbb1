"""The names that a run may make, and remove, on a server that is not ours."""

from __future__ import annotations

import re
from secrets import token_hex
from typing import Final

from eventproof.adapters import clock

START: Final = "eventproof-"
_NAMESPACE: Final = re.compile(START + r"[A-Za-z0-9_-]{1,40}")


def check(namespace: str) -> None:
    """Raises ValueError for what no run's names may begin with."""
    if not _NAMESPACE.fullmatch(namespace):
        rule = f"a namespace is {START} and then 1 to 40 of A-Z, a-z, 0-9, _ and -"
        raise ValueError(f"{rule}, and {namespace!r} is not")


def fresh() -> str:
    """One that no other run has."""
    return f"{START}{clock.now():%Y%m%d-%H%M%S}-{token_hex(2)}"


def owns(namespace: str, name: str) -> bool:
    """Whether a topic of that name is the run's own."""
    return name.startswith(f"{namespace}-")
