"""Find what to test: a target of our own by name, or anybody's adapter by `MODULE_OR_FILE:CONNECT`."""

from __future__ import annotations

import importlib
import shlex
import sys
from pathlib import Path

import msgspec

from eventproof.adapters.connect import Connect
from eventproof.adapters.errors import EventproofError
from eventproof.conformance.driver.target import DriverTarget
from eventproof.conformance.loading import InvalidAdapter, connect_in, is_file, module_at, named
from eventproof.conformance.targets.facilities import Facilities, facilities

__all__ = ["TARGETS", "InvalidAdapter", "InvalidDriver", "Plugin", "anybodys", "driven", "ours"]

TARGETS = ("memory", "nats", "nats-core", "kafka")


class InvalidDriver(EventproofError):
    """What was given is no command line; the message says why."""


class Plugin(msgspec.Struct, frozen=True):
    """A broker to test: how to connect, and the object, if any, that offers something beside the port.

    command: starts a driver that connects a single participant to the same broker; None if there can be none.
    """

    name: str
    connect: Connect
    target: object = None
    command: tuple[str, ...] | None = None

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
    connect = connect_in(name, module, "connect")
    # Where the adapter itself defines it: a target has more to import than a driver needs.
    spec = f"{getattr(connect, '__module__', '')}:{getattr(connect, '__name__', '')}"
    return Plugin(name, connect, module.target, _command(spec, module.target))


def anybodys(spec: str) -> Plugin:
    """An adapter from `MODULE:CONNECT` or `FILE.py:CONNECT`. Raises InvalidAdapter."""
    place, attribute = named(spec)
    module = module_at(place)
    target = getattr(module, "target", None)
    found = f"{Path(place).absolute() if is_file(place) else place}:{attribute}"
    return Plugin(place, connect_in(place, module, attribute), target, _command(found, target))


def driven(words: str) -> Plugin:
    """An adapter behind the driver that a command line starts. Raises InvalidDriver."""
    try:
        command = tuple(shlex.split(words))
    except ValueError as problem:
        raise InvalidDriver(f"--driver {words!r}: {problem}") from problem
    if not command:
        raise InvalidDriver("--driver is the command line of a program, and empty")
    target = DriverTarget(command)
    return Plugin(words, target.connect, target, command)


def _command(spec: str, target: object) -> tuple[str, ...] | None:
    """A broker on the virtual clock is in this process, and out of reach of any other."""
    if facilities(target).clock == "virtual":
        return None
    return (sys.executable, "-m", "eventproof.conformance.driver", "--adapter", spec)
