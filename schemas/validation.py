"""JSON Schema validation against the schemas of this package: cached, offline, with formats checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from referencing import Registry, Resource

from eventproof.schemas.errors import InvalidEvent

if TYPE_CHECKING:  # its place moved in Python 3.11
    from importlib.abc import Traversable

ENVELOPE: Final = "envelope/v1/envelope"
_PACKAGE = files("eventproof.schemas")
_SUFFIX = ".schema.json"
_NAME = re.compile(r"[a-z0-9-]+(?:[./][a-z0-9-]+)*")
_SHOWN = 200  # characters of an instance in a sentence


class UnknownSchema(LookupError):
    """The package has no schema of that name."""


@lru_cache(maxsize=256)
def schema(name: str) -> Mapping[str, Any]:
    """A schema by its path in this package without the suffix, such as `envelope/v1/envelope`.

    Treat it as read-only. Raises UnknownSchema.
    """
    file = _PACKAGE.joinpath(*f"{name}{_SUFFIX}".split("/"))
    if not _NAME.fullmatch(name) or not file.is_file():
        raise UnknownSchema(f"no schema {name!r} in eventproof.schemas")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@lru_cache(maxsize=256)
def validator(name: str) -> Validator:
    """A validator of the schema `name`, formats checked, references found in this package alone.

    Raises UnknownSchema, and jsonschema's SchemaError when the schema is no valid draft 2020-12.
    """
    found = schema(name)
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(
        found, registry=_registry(), format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def problems(against: Validator, instance: Any) -> list[str]:
    """A sentence for each thing wrong with `instance`: path, what, keyword. Empty if it is valid."""
    return [_sentence(error) for error in _errors(against, instance)]


def validate_envelope(document: Mapping[str, Any]) -> None:
    """Check a parsed `application/cloudevents+json` document against the schema of our profile.

    Raises InvalidEvent with a sentence per problem. The schema cannot see what the parser already lost
    (members named twice, lone surrogates, 1.0 for 1), nor count the bytes of `dlerror`, nor the nesting
    and the numbers within `data`; `eventproof.schemas.structured.decode` does.
    """
    found = _errors(validator(ENVELOPE), dict(document))
    if found:
        path = found[0].absolute_path
        raise InvalidEvent(str(path[0]) if path else None, "; ".join(_sentence(error) for error in found))


def _errors(against: Validator, instance: Any) -> list[ValidationError]:
    return sorted(against.iter_errors(instance), key=lambda error: error.json_path)


def _sentence(error: ValidationError) -> str:
    message = error.message
    if len(message) > 2 * _SHOWN:
        message = f"{message[:_SHOWN]} ... {message[-_SHOWN:]}"
    return f"{error.json_path}: {message} (keyword {error.validator})"


@lru_cache(maxsize=1)
def _registry() -> Registry[Any]:
    """All schemas of the package that have an `$id`. It retrieves nothing from anywhere else."""
    found = (json.loads(file.read_text(encoding="utf-8")) for file in _files(_PACKAGE))
    return Registry[Any]().with_resources((s["$id"], Resource.from_contents(s)) for s in found if "$id" in s)


def _files(folder: Traversable) -> Iterator[Traversable]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry)
        elif entry.name.endswith(_SUFFIX):
            yield entry
