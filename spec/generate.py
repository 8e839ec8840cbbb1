"""From requirement blocks to requirements.json."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from eventproof.spec.model import Conditions, Register, Requirement
from eventproof.spec.parse import Block, Document
from eventproof.spec.vocabulary import AREAS

_CONDITION = re.compile(r"`(?P<path>[a-z_.]+)=(?P<values>[a-z0-9|-]+)`")
_REASONED = re.compile(
    r"(?P<value>[a-z0-9]+)(?: of (?P<faults>[a-z-]+(?:, [a-z-]+)*))?(?: \((?P<reason>.+)\))?"
)
_BOOLEANS = {"true": True, "false": False}


class Malformed(ValueError):
    """A field of a block cannot be read; the message says what it should look like."""


def requirement_of(block: Block) -> Requirement:
    """The data of one block. Raises Malformed."""
    verify, whynone = reasoned(block, "Verify")
    exercise, _ = reasoned(block, "Exercise")
    data = {
        **{name: block.head[name] for name in ("id", "title", "level", "target", "since")},
        **{name.lower(): block.field(name) for name in ("Intent", "Needs", "Limits", "Profile")},
        "area": block.id[:3],
        "text": block.text,
        "when": conditions(block),
        "verify": verify,
        "faults": faults(block),
        "whynone": whynone,
        "exercise": int(exercise) if exercise.isdigit() else exercise,
        "status": "removed" if block.head["removed"] else "active",
        "anchor": f"{block.document}#{block.id}",
        "anomalies": anomalies(block),
    }
    try:
        return msgspec.convert(data, Requirement)
    except msgspec.ValidationError as wrong:
        raise Malformed(str(wrong)) from wrong


def reasoned(block: Block, name: str) -> tuple[str, str]:
    """A field of the form `value` or `value (reason)`, apart. Raises Malformed."""
    match = _REASONED.fullmatch(block.field(name))
    if match is None:
        raise Malformed(f"{name} is one word or number, and at most faults and a reason in parentheses")
    return match["value"], match["reason"] or ""


def faults(block: Block) -> tuple[str, ...]:
    """The faults that a requirement is verified with, `fault of one, another`. Raises Malformed."""
    match = _REASONED.fullmatch(block.field("Verify"))
    named = match["faults"] if match is not None else None
    if bool(named) != (match is not None and match["value"] == "fault"):
        raise Malformed("Verify names faults, `fault of one, another`, if it is fault and only then")
    return tuple(named.split(", ")) if named else ()


def conditions(block: Block) -> Conditions:
    """The claims under which a block applies. Raises Malformed."""
    text = block.field("When")
    if text == "always":
        return {}
    return dict(map(_condition, text.split(", ")))


def anomalies(block: Block) -> tuple[str, ...]:
    text = block.field("Anomalies")
    return () if text == "none" else tuple(text.split(", "))


def generated(documents: Sequence[Document]) -> bytes:
    """requirements.json for these documents, in the order of the areas. Raises Malformed."""
    order = tuple(AREAS.values())
    ordered = sorted((one for one in documents if one.blocks), key=lambda one: order.index(one.name))
    found = tuple(requirement_of(block) for source in ordered for block in source.blocks)
    return msgspec.json.format(msgspec.json.encode(Register(found)), indent=2) + b"\n"


def _condition(text: str) -> tuple[str, tuple[bool | str, ...]]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise Malformed("When is `always`, or conditions like `path=value|value` in code spans, with commas")
    return match["path"], tuple(_BOOLEANS.get(value, value) for value in match["values"].split("|"))
