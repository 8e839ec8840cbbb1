"""Somebody's code, from a module or a file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from eventproof.adapters.connect import Connect
from eventproof.adapters.errors import EventproofError
from eventproof.conformance.foreign import ForeignError, foreign

Loaded = TypeVar("Loaded")


class InvalidAdapter(EventproofError):
    """What was named cannot be loaded, or is no adapter; the message says what to do."""


def named(spec: str) -> tuple[str, str]:
    """Place and attribute of `MODULE:CONNECT` or `FILE.py:CONNECT`. Raises InvalidAdapter."""
    place, _, attribute = spec.rpartition(":")
    if not place or not attribute:
        raise InvalidAdapter(f"--adapter {spec!r}: write MODULE:CONNECT or FILE.py:CONNECT")
    return place, attribute


def is_file(place: str) -> bool:
    """Whether a place is a file, and else a module."""
    return place.endswith(".py")


def module_at(place: str) -> ModuleType:
    """The module of that name, or in that file. Raises InvalidAdapter."""
    if is_file(place):
        return _from_file(Path(place))
    return _imported(f"module {place}", partial(importlib.import_module, place))


def connect_in(place: str, module: ModuleType, attribute: str) -> Connect:
    """What opens a connection. Raises InvalidAdapter."""
    connect: Connect | None = getattr(module, attribute, None)
    if not callable(connect):
        raise InvalidAdapter(f"{place} has no callable {attribute!r} that opens a connection")
    return connect


def load(spec: str) -> Connect:
    """The adapter that `MODULE:CONNECT` or `FILE.py:CONNECT` names. Raises InvalidAdapter."""
    place, attribute = named(spec)
    return connect_in(place, module_at(place), attribute)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidAdapter(f"there is no file {path}")
    name = f"eventproof_adapter_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    _imported(str(path), partial(found.loader.exec_module, module))
    return module


def _imported(what: str, load: Callable[[], Loaded]) -> Loaded:
    """Importing somebody's module runs it, which may raise anything."""
    try:
        with foreign(f"{what} cannot be imported"):
            return load()
    except ForeignError as problem:
        raise InvalidAdapter(str(problem)) from problem
