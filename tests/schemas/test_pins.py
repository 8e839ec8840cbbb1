"""What is taken from CloudEvents is pinned: to its release, or to one commit."""

from __future__ import annotations

import re
from pathlib import Path

from eventproof.schemas import attributes
from eventproof.spec.__main__ import HERE
from eventproof.spec.parse import document, table

RELEASE = "v1.0.2"
PINNED = re.compile(rf"{re.escape(RELEASE)}|[0-9a-f]{{40}}")
VERSION = re.compile(r"github\.com/cloudevents/spec/(?:blob|tree|raw)/([^/]+)/")
ROOT = HERE.parent


def versions(text: str) -> set[str]:
    return set(VERSION.findall(text))


def rows() -> dict[str, str]:
    source = document("envelope.md", (HERE / "envelope.md").read_text(encoding="utf-8"))
    return {row[0]: row[1] for row in table(source, "What is taken from CloudEvents")}


def texts() -> list[str]:
    folders = (HERE, ROOT / "schemas")
    paths = [*ROOT.glob("*.md"), *(path for folder in folders for path in Path(folder).rglob("*.md"))]
    return [path.read_text(encoding="utf-8") for path in paths]


def test_no_link_to_cloudevents_moves() -> None:
    found = {version for text in texts() for version in versions(text)}
    assert RELEASE in found
    assert [version for version in found if not PINNED.fullmatch(version)] == []


def test_a_branch_is_no_pin() -> None:
    (found,) = versions("[x](https://github.com/cloudevents/spec/blob/main/cloudevents/spec.md)")
    assert not PINNED.fullmatch(found)


def test_the_envelope_says_where_each_extension_is_from() -> None:
    said = {name for row in rows() for name in re.findall(r"`([a-z]+)`", row)}
    assert said == set(attributes.KNOWN)


def test_each_row_names_its_release_or_commit() -> None:
    for what, source in rows().items():
        pinned = VERSION.search(source)
        if pinned is None:
            assert "of this protocol" in source, what
        else:
            shown = source.partition("]")[0].removeprefix("[")
            assert pinned[1].removeprefix("v").startswith(shown), what
