"""Secrets: given by reference, and kept out of everything that is written.

An option that is a secret is never given as such, where a list of processes, a shell's history or a report
would show it: it names an environment variable (`env:NAME`) or a file (`file:PATH`) that holds it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from eventproof.adapters.errors import InvalidOption

MASK: Final = "***"
_SHORTEST: Final = 4  # characters; hiding every shorter text would make reports unreadable
_USERINFO: Final = re.compile(r"(?<=://)[^/?#\s'\"@]*(?:@[^/?#\s'\"@]*)*(?=@)")
_known: set[str] = set()


def resolve(reference: str, option: str) -> str:
    """The secret that `env:NAME` or `file:PATH` stands for; from now on `redacted` hides it.

    Raises as `read` does.
    """
    secret = read(reference, option)
    hide(secret)
    return secret


def read(reference: str, option: str) -> str:
    """The text that `env:NAME` or `file:PATH` stands for, without blanks and newlines around it; it may hold
    a secret, which the caller hides. Raises InvalidOption, naming the option and never what was given.
    """
    kind, _, place = reference.partition(":")
    if kind == "env" and place:
        secret = os.environ.get(place, "").strip()
        missing = f"the environment variable {place} is not set"
    elif kind == "file" and place:
        secret, missing = _read(place, option), f"the file {place} is empty"
    else:
        raise InvalidOption(f"{option} is a secret: give env:NAME or file:PATH, where it is kept")
    if not secret:
        raise InvalidOption(f"{option}: {missing}")
    return secret


def hide(secret: str) -> None:
    """Let `redacted` hide this text wherever it occurs; one of less than 4 characters is not hidden."""
    if len(secret) >= _SHORTEST:
        _known.add(secret)


def redacted(text: str) -> str:
    """The text without what stands before the `@` of URLs, and without the secrets known so far."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _USERINFO.sub(MASK, text)


def _read(place: str, option: str) -> str:
    try:
        return Path(place).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidOption(f"{option}: the file {place} cannot be read") from problem
