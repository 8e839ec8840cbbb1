"""Find what to test: a target of our own by name, or anybody's adapter by `MODULE_OR_FILE:CONNECT`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import msgspec

from eventproof.adapters.connect import Connect
from eventproof.adapters.errors import EventproofError
from eventproof.conformance.targets.facilities import Facilities, facilities

TARGETS = ("memory", "nats")


class InvalidAdapter(EventproofError):
    """What was named cannot be loaded, or is no adapter; the message says what to do."""


class Plugin(msgspec.Struct, frozen=True):
    """A broker to test: how to connect, and what its target offers beside the port."""

    name: str
    connect: Connect
    facilities: Facilities


def ours(name: str) -> Plugin:
    """One of `TARGETS`. Raises InvalidAdapter, also when its client library is missing."""
    if name not in TARGETS:
        raise InvalidAdapter(
            f"there is no target {name!r}; choose from {', '.join(TARGETS)}, or give --adapter"
        )
    try:
        module = importlib.import_module(f"eventproof.conformance.targets.{name}")
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("eventproof"):
            raise
        needs = f"the target {name} needs the Python module {missing.name}"
        raise InvalidAdapter(f"{needs}: pip install 'eventproof[{name},servers]'") from missing
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
    return Plugin(name, connect, facilities(getattr(module, "target", None)))


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidAdapter(f"there is no file {path}")
    name = f"eventproof_adapter_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except (ImportError, SyntaxError, EventproofError) as problem:
        raise InvalidAdapter(f"{path} cannot be imported: {problem}") from problem
    return module


def _from_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as problem:
        raise InvalidAdapter(f"module {name} cannot be imported: {problem}") from problem
