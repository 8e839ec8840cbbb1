"""The protocol's requirements as data: `from eventproof.spec import requirement, requirements`.

The Markdown beside this file is the source; `python -m eventproof.spec` generates the data from it.
"""

from __future__ import annotations

from eventproof.spec.model import Conditions, Requirement, UnknownRequirement, holds, register, requirement

__all__ = ["Conditions", "Requirement", "UnknownRequirement", "holds", "requirement", "requirements"]

requirements: tuple[Requirement, ...]


def __getattr__(name: str) -> object:
    # Read on first use: the generator imports this package while the data may be missing or broken.
    if name == "requirements":
        return tuple(register().values())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
