"""A file of scenarios that run side by side: the first has a fault of the broker, which meets all of them.

What one of them showed may need the others; then the batch is the counterexample.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from eventproof.conformance.scenario import FORMAT, InvalidScenario, Scenario, decode, inconsistencies


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag=FORMAT):
    """The first scenario leads."""

    scenarios: tuple[Scenario, ...]


def encode(batch: Batch) -> bytes:
    """The JSON form, valid against schemas/conformance/batch.schema.json."""
    return msgspec.json.format(msgspec.json.encode(batch), indent=1)


def load(path: Path) -> tuple[Scenario, ...]:
    """The scenarios of a batch file, or the one of a scenario file. Raises InvalidScenario."""
    try:
        document = path.read_bytes()
        return _batch(document) if _is_batch(document) else (decode(document),)
    except (OSError, InvalidScenario) as problem:
        raise InvalidScenario(f"{path}: {problem}") from problem


def _is_batch(document: bytes) -> bool:
    try:
        return "scenarios" in msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _batch(document: bytes) -> tuple[Scenario, ...]:
    try:
        scenarios = msgspec.json.decode(document, type=Batch).scenarios
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise InvalidScenario(f"not a batch: {problem}") from problem
    wrong = [sentence for scenario in scenarios for sentence in inconsistencies(scenario)]
    if wrong or not scenarios:
        raise InvalidScenario(f"not a batch: {'; '.join(wrong) or 'it has no scenario'}")
    return scenarios
