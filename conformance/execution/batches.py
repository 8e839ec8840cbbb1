"""Which scenarios run side by side: a fault of the broker belongs to one of them, and meets all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from eventproof.conformance.scenario import Scenario

Batch: TypeAlias = Sequence[tuple[int, Scenario]]
TOGETHER = 10  # scenarios that a fault of the broker meets


def batches(scenarios: Sequence[Scenario], room: int) -> list[Batch]:
    """The scenarios with their numbers: each one with a fault of the broker has a batch of its own, with
    as many followers as there is room for. The others are one batch, which no such fault meets."""
    numbered = list(enumerate(scenarios))
    leads = [one for one in numbered if one[1].broker_faults]
    others = [one for one in numbered if not one[1].broker_faults]
    size = min(TOGETHER, room) - 1
    led = [[lead, *others[n * size : (n + 1) * size]] for n, lead in enumerate(leads)]
    rest = others[len(leads) * size :]
    return [*led, rest] if rest else [*led]
