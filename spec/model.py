"""What a requirement is, as data, and where its generated form is read from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

Level = Literal["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"]
Target = Literal["event", "codec", "adapter", "driver", "suite"]
Profile = Literal["core", "ordered", "dedup", "retry", "durable", "groups", "replay"]
Verify = Literal["deterministic", "sampled", "fault", "inspection", "none"]
Status = Literal["active", "removed"]
Conditions = Mapping[str, tuple[bool | str, ...]]


CLAIMED = frozenset(
    {"consumer-loss", "broker-kill", "power-loss", "node-loss", "all-nodes"}
)  # faults that claims list


class Requirement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One numbered requirement of the protocol (spec/README.md explains each field).

    when: claim path -> the values under which it applies; all paths must match, {} is always.
    faults: where verify is `fault`, which of them have to lie in between; each of those claimed is tried.
    whynone: why no test decides it, where verify is `inspection` or `none`; else empty.
    exercise: how often what it guards must have occurred before it can pass; 0 if no run decides it.
    anchor: where it stands, relative to the spec folder: `ordering.md#ORD-003`.
    anomalies: codes of the rules whose findings decide it.
    """

    id: str
    title: str
    level: Level
    target: Target
    area: str
    profile: Profile
    when: Conditions
    verify: Verify
    faults: tuple[str, ...]
    whynone: str
    exercise: int
    since: str
    status: Status
    anchor: str
    anomalies: tuple[str, ...]
    text: str
    intent: str
    needs: str
    limits: str

    @property
    def mandatory(self) -> bool:
        """Whether breaking it breaks conformance: an active `MUST` or `MUST NOT`."""
        return self.status == "active" and self.level.startswith("MUST")

    def tried(self, claims: Mapping[str, object]) -> tuple[str, ...]:
        """The faults that it is tried with: of those that claims can list, the ones that its claims do."""
        listed = [claim for path in self.when if isinstance(claim := _claimed(claims, path), (list, tuple))]
        return tuple(
            one for one in self.faults if one not in CLAIMED or all(one in claim for claim in listed)
        )

    def applies(self, claims: Mapping[str, object]) -> bool:
        """Whether claims, in their JSON form, make it binding; an axis left out claims nothing."""
        return holds(self.when, claims)


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of requirements.json (schemas/conformance/requirements.schema.json)."""

    requirements: tuple[Requirement, ...]


class UnknownRequirement(KeyError):
    """No requirement has this id, not even a removed one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"no requirement {self.name!r}: spec/README.md lists the areas"


@cache
def register() -> Mapping[str, Requirement]:
    """Every requirement by id, in the order of the documents; read once."""
    text = (files("eventproof.spec") / "requirements.json").read_bytes()
    return {one.id: one for one in msgspec.json.decode(text, type=Register).requirements}


def requirement(name: str) -> Requirement:
    """The requirement with an id such as `ORD-003`. Raises UnknownRequirement."""
    try:
        return register()[name]
    except KeyError:
        raise UnknownRequirement(name) from None


def holds(conditions: Conditions, claims: Mapping[str, object]) -> bool:
    """Whether each path of the claims, in their JSON form, has one of its values."""
    return all(_has(_claimed(claims, path), values) for path, values in conditions.items())


def _has(claim: object, values: tuple[bool | str, ...]) -> bool:
    """A list of faults has each of them as its value."""
    return any(one in values for one in claim) if isinstance(claim, (list, tuple)) else claim in values


def _claimed(claims: Mapping[str, object], path: str) -> object:
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
