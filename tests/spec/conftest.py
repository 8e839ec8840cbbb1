"""A small specification that the lint accepts, for tests to break in one place each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ORDERING = """# Ordering (ORD)

Prose may mention `MUST` in a code span, and [link](conformance.md#claims) to a heading, or to
[two](glossary.md#link-of-two) of a kind. A `queue` holds L of them.

<a id="ORD-001"></a>**ORD-001** Key order · MUST · adapter · since 1.0\\
An event that was confirmed first MUST be first delivered
before the other one.
> Intent: updates that overtake each other are lost. · Needs: two events with one key · Verify: sampled ·
> Limits: see [ORD-002](#ORD-002).
> · Profile: ordered · When: `ordering.scope=key|topic`, `redelivery.nack=true` · Anomalies: D1, D2
> · Exercise: 20

<a id="ORD-002"></a>**ORD-002** Old rule · MUST NOT · suite · since 1.0 · removed 1.1\\
A suite MUST NOT guess.
> Intent: a guess is no proof. · Needs: nothing · Verify: inspection (a guess leaves no trace) · Limits: none.
> · Profile: core · When: always · Anomalies: none · Exercise: 0
"""
CONFORMANCE = """# Conformance

## Claims

| path | values | meaning |
|---|---|---|
| `ordering.scope` | `none` · `key` · `topic` | order |
| `redelivery.nack` | `false` · `true` | redelivery |
| `redelivery.within` | seconds | how soon |

## Anomalies

| code | anomaly | decides |
|---|---|---|
| D1 | reorder | [ORD-001](ordering.md#ORD-001) |
| D2 | broken by retry | [ORD-001](ordering.md#ORD-001) |
| B7 | unseen | none |
"""
DURABILITY = """# Durability

## The faults

| fault | name | what is gone |
|---|---|---|
| the broker is killed | `broker-kill` | its memory |
"""
GLOSSARY = """# Glossary

<a id="event"></a>**Event**: a fact.

<a id="key"></a>**Key**: what orders, also in a queue.

<a id="l"></a>**L**: a number.

<a id="link-of-two"></a>**Link of two**: see [above](ordering.md).

## Say this, not that

| not | but | unless |
|---|---|---|
| `queue` `stream` | topic | of a broker; [here](glossary.md) |
| `timeout` | time-out | |
"""


@pytest.fixture
def texts() -> dict[str, str]:
    return {
        "conformance.md": CONFORMANCE,
        "durability.md": DURABILITY,
        "glossary.md": GLOSSARY,
        "ordering.md": ORDERING,
    }


@pytest.fixture
def folder(tmp_path: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def edit(folder: Path) -> Callable[[str, str, str], None]:
    """Replace a text that must be there in one of the documents."""

    def replace(name: str, old: str, new: str) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")

    return replace
