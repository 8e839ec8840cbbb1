"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec

from eventproof.adapters.claims import Claims
from eventproof.conformance import plugin
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.profiles import PROFILES

DRIVER = "Test the adapter that this program serves on its standard input and output, no TARGET."
CLAIM = "Judge by another claim, as in ordering.strictness=settled; configures nothing."
Command = TypeVar("Command", bound=Callable[..., Any])


def broker(function: Command) -> Command:
    """TARGET, --adapter or --driver, with --option and --claim."""
    for decorate in (
        click.argument("target", required=False),
        click.option("--adapter", metavar="MODULE_OR_FILE:CONNECT", help="Test this adapter, no TARGET."),
        click.option("--driver", metavar="COMMAND", help=DRIVER),
        click.option("--option", "options", multiple=True, metavar="K=V", help="Given to the adapter."),
        click.option("--claim", "claims", multiple=True, metavar="PATH=VALUE", help=CLAIM),
    ):
        function = decorate(function)
    return function


def profiles(function: Command) -> Command:
    """--profile."""
    return click.option(
        "--profile", "profiles", multiple=True, type=click.Choice(list(PROFILES)),
        help="Judge this profile only; may be repeated.",
    )(function)  # fmt: skip


def chosen(target: str | None, adapter: str | None, driver: str | None) -> Plugin:
    """The broker to test: exactly one of the three names it. Raises click.UsageError, InvalidAdapter."""
    if [target, adapter, driver].count(None) != 2:  # noqa: PLR2004 - all but one
        known = ", ".join(plugin.TARGETS)
        raise click.UsageError(f"give exactly one of TARGET ({known}), --adapter and --driver")
    if adapter is not None:
        return plugin.anybodys(adapter)
    if driver is not None:
        return _driven(driver)
    if target not in plugin.TARGETS:
        raise click.UsageError(
            f"there is no target {target!r}: choose from {', '.join(plugin.TARGETS)}, or give --adapter"
        )
    return plugin.ours(target)


def _driven(words: str) -> Plugin:
    try:
        return plugin.driven(words)
    except plugin.InvalidDriver as problem:
        raise click.UsageError(str(problem)) from problem


def pairs(texts: tuple[str, ...], option: str) -> dict[str, Any]:
    """`K=V` texts as a mapping; a value that is JSON is taken as that. Raises click.BadParameter."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} is not of the form K=V", param_hint=option)
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def claiming(texts: tuple[str, ...]) -> Callable[[Claims], Claims]:
    """From what an adapter claims to what is judged. Raises click.BadParameter for what is no claim."""
    wanted = pairs(texts, "--claim")
    _claimed(Claims(), wanted)  # refuse a bad one before anything is started
    return lambda claims: _claimed(claims, wanted)


def _claimed(claims: Claims, wanted: Mapping[str, Any]) -> Claims:
    document: dict[str, Any] = msgspec.to_builtins(claims)
    for path, value in wanted.items():
        *parents, leaf = path.split(".")
        place: Any = document
        for name in parents:
            place = place.get(name) if isinstance(place, dict) else None
        if not isinstance(place, dict) or leaf not in place:
            raise click.BadParameter(f"there is no claim {path!r}", param_hint="--claim")
        place[leaf] = value
    try:
        return msgspec.convert(document, Claims)
    except msgspec.ValidationError as problem:
        raise click.BadParameter(str(problem), param_hint="--claim") from problem
