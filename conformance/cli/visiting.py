"""Options for a server that is not ours, and what they amount to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import click

from eventproof.adapters import clock
from eventproof.adapters.secret import hide, read
from eventproof.conformance.execution.visiting import Guest
from eventproof.conformance.manifest import NAME, Header, Manifest
from eventproof.conformance.targets import namespace
from eventproof.conformance.targets.guard import LeftBehind
from eventproof.conformance.targets.visit import Caps, Demand, Visit

Command = TypeVar("Command", bound=Callable[..., Any])

URL: Final = "A server that this command did not start; env:NAME or file:PATH if the URL holds a password."
NAMESPACE: Final = (
    "What every name on that server begins with; eventproof-... and new for each run by default."
)
DRY_RUN: Final = "Look whether the run can take place, print what it would create, and create nothing."
LARGE: Final = "Also publish events beyond the server's payload limit."
BY_REFERENCE: Final = (
    "a URL with a user, a password or a token shows in the list of processes: put it into an environment "
    "variable or a file, and give --url env:NAME or --url file:PATH"
)
_CAPS: Final = {  # by the options' names
    "at_once": (click.IntRange(1), "Scenarios side by side."),
    "rate": (click.IntRange(1), "Events published within any second."),
    "max_bytes": (click.IntRange(1), "What all scenarios together may store."),
    "max_duration": (click.FloatRange(0, min_open=True), "Seconds after which no further scenario begins."),
}


def server(function: Command) -> Command:
    """--url, and with it --namespace, --dry-run and the caps."""
    defaults = Caps()
    decorations = [
        click.option("--url", help=URL),
        click.option("--namespace", help=NAMESPACE),
        click.option("--dry-run", is_flag=True, help=DRY_RUN),
        *(
            click.option(f"--{name.replace('_', '-')}", type=kind, help=f"{text} [{getattr(defaults, name)}]")
            for name, (kind, text) in _CAPS.items()
        ),
        click.option("--allow-large", is_flag=True, help=LARGE),
    ]
    for decorate in reversed(decorations):
        function = decorate(function)
    return function


def guest(
    given: Mapping[str, Any], options: Mapping[str, Any], target: str | None, folder: Path, demand: Demand
) -> Guest | None:
    """The run on a server that is not ours, None without --url. Raises click.UsageError, InvalidOption."""
    caps = {name: given[name] for name in _CAPS if given[name] is not None}
    if given["url"] is None:
        _refuse_without_url(given, caps)
        return None
    if target == "memory":
        raise click.UsageError("the memory broker is in this process and has no URL: leave out --url")
    try:
        visit = Visit(
            url=address(given["url"]),
            namespace=given["namespace"] or namespace.fresh(),
            caps=Caps(large=given["allow_large"], **caps),
            options=options,
        )
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="--namespace") from problem
    header = Header(
        target=target or "", adapter=given["adapter"] or "", driver=given["driver"] or "", url=given["url"],
        namespace=visit.namespace, options=options, started=clock.now().isoformat(timespec="seconds"),
    )  # fmt: skip
    return Guest(visit=visit, demand=demand, header=header, manifest=Manifest(folder / NAME))


def _refuse_without_url(given: Mapping[str, Any], caps: Mapping[str, Any]) -> None:
    named = [*caps, *(name for name in ("namespace", "dry_run", "allow_large") if given[name])]
    if named:
        texts = ", ".join(f"--{name.replace('_', '-')}" for name in named)
        raise click.UsageError(f"{texts} is for a server that is not ours: give its --url")


def address(given: str) -> str:
    """The URL itself, whose secrets are hidden from now on. Raises click.UsageError, InvalidOption."""
    if given.startswith(("env:", "file:")):
        url = read(given, "--url")
        for place in url.split(","):
            user, _, password = urlsplit(place).netloc.rpartition("@")[0].partition(":")
            for secret in {password or user, unquote(password or user)}:
                hide(secret)
        return url
    if "@" in given:
        raise click.UsageError(BY_REFERENCE)
    return given


@contextmanager
def interruptible(staying: Guest | None) -> Iterator[None]:
    """An interrupted run says what it could not remove any more. Raises LeftBehind, KeyboardInterrupt."""
    try:
        yield
    except KeyboardInterrupt:
        if staying is not None and staying.manifest.unfinished:
            path = staying.manifest.path
            raise LeftBehind(f"interrupted, and topics may be left: eventproof cleanup {path}") from None
        raise
