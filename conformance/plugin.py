"""Find what to test: a target of our own by name, or anybody's adapter by `MODULE_OR_FILE:CONNECT`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import msgspec

from eventproof.adapters.connect import Connect
from eventproof.adapters.errors import EventproofError
from eventproof.conformance.foreign import ForeignError, foreign
from eventproof.conformance.targets.facilities import Facilities, facilities

TARGETS = ("memory", "nats", "nats-core")

Loaded = TypeVar("Loaded")


class InvalidAdapter(EventproofError):
    """What was named cannot be loaded, or is no adapter; the message says what to do."""


class Plugin(msgspec.Struct, frozen=True):
    """A broker to test: how to connect, and the object, if any, that offers something beside the port."""

    name: str
    connect: Connect
    target: object = None

    @property
    def facilities(self) -> Facilities:
        """What the target offers at this moment: some of it is known only once it has started."""
        return facilities(self.target)


def ours(name: str) -> Plugin:
    """One of `TARGETS`. Raises InvalidAdapter, also when its client library is missing."""
    if name not in TARGETS:
        raise InvalidAdapter(
            f"there is no target {name!r}; choose from {', '.join(TARGETS)}, or give --adapter"
        )
    try:
        module = importlib.import_module(f"eventproof.conformance.targets.{name.replace('-', '_')}")
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("eventproof"):
            raise
        needs = f"the target {name} needs the Python module {missing.name}"
        raise InvalidAdapter(
            f"{needs}: pip install 'eventproof[{name.partition('-')[0]},servers]'"
        ) from missing
    return _plugin(name, module, "connect")


def anybodys(spec: str) -> Plugin:
    """An adapter from `MODULE:CONNECT` or `FILE.py:CONNECT`. Raises InvalidAdapter."""
    place, _, attribute = spec.rpartition(":")
    if not place or not attribute:
        raise InvalidAdapter(f"--adapter {spec!r}: write MODULE:CONNECT or FILE.py:CONNECT")
    return _plugin(place, _from_file(Path(place)) if place.endswith(".py") else _from_name(place), attribute)


def _plugin(name: str, module: ModuleType, attribute: str) -> Plugin:
    connect = getattr(module, attribute, None)
    if not callable(connect):
        raise InvalidAdapter(f"{name} has no callable {attribute!r} that opens a connection")
    return Plugin(name, connect, getattr(module, "target", None))


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


def _from_name(name: str) -> ModuleType:
    return _imported(f"module {name}", partial(importlib.import_module, name))


def _imported(what: str, load: Callable[[], Loaded]) -> Loaded:
    """Importing somebody's module runs it, which may raise anything."""
    try:
        with foreign(f"{what} cannot be imported"):
            return load()
    except ForeignError as problem:
        raise InvalidAdapter(str(problem)) from problem
