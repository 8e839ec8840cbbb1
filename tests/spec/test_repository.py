"""The repository around the spec: links and ids, in every document and in what the sources say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from eventproof.spec.check import around, findings
from eventproof.spec.mentions import mentioned
from eventproof.spec.parse import read

README = """# A project

[The order](spec/ordering.md#ORD-001), [a heading](#a-project), [a folder](docs/), [away](https://example.org/#x),
[by name][order], <img src="docs/flow.svg">, [titled](<docs/flow.svg> "a picture") and `[code](nowhere.md)`.

[order]: spec/ordering.md#ORD-002
"""
SOURCE = '''"""Judges by ORD-001."""


class Judge:
    """Looks twice.

    The second time by ORD-002.
    """

    limit = "ORD-900"  # by ORD-001


def test_ord_001_is_kept() -> None: ...
'''
AROUND = {"README.md": README, "code/judge.py": SOURCE, "docs/flow.svg": "<svg/>", ".gitignore": "build/\n"}


@pytest.fixture
def root(tmp_path: Path, texts: dict[str, str]) -> Path:
    """A checkout with a spec in it that is in order, and so is everything around."""
    files = {
        "README.md": README,
        "code/judge.py": SOURCE,
        "docs/flow.svg": "<svg/>",
        ".gitignore": "build/\n",
    }
    for name, text in {**files, **{f"spec/{name}": text for name, text in texts.items()}}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def said(root: Path) -> list[str]:
    return [str(one) for one in around(root / "spec", read(root / "spec"))]


def test_a_repository_in_order_has_no_findings(root: Path) -> None:
    assert said(root) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("README.md", "#ORD-001", "#ORD-007", "README.md:3: links to spec/ordering.md#ORD-007, where that"),
        ("README.md", "#a-project", "#the-project", "README.md:3: links to #the-project, where that anchor"),
        (
            "README.md",
            "spec/ordering.md#ORD-001",
            "order.md",
            "README.md:3: links to order.md, which does not",
        ),
        ("README.md", "(docs/)", "(doc/)", "README.md:3: links to doc/, which does not exist"),
        ("README.md", "(docs/)", "(../docs/)", "README.md:3: links to ../docs/, which does not exist"),
        (
            "README.md",
            '"docs/flow.svg"',
            '"docs/flow.png"',
            "README.md:4: links to docs/flow.png, which",
        ),
        ("README.md", "<docs/flow.svg>", "<docs/flow>", "README.md:4: links to docs/flow, which does"),
        ("README.md", "][order]", "][other]", "README.md:4: refers to [other], which is defined nowhere"),
        ("README.md", "[by name][order]", "by name", "README.md:6: defines [order], which nothing refers to"),
        ("README.md", "ordering.md#ORD-002", "flow.md", "README.md:6: links to spec/flow.md, which does"),
        ("README.md", "`[code]", "ORD-003 `[code]", "README.md:4: mentions ORD-003, and there is no"),
        (
            "spec/ordering.md",
            "Prose may",
            "[Prose](../README.md#x) may",
            "spec/ordering.md:3: links to ../",
        ),
        ("code/judge.py", "by ORD-001.", "by ORD-008.", "code/judge.py:1: mentions ORD-008, and there is no"),
        ("code/judge.py", "by ORD-002", "by ORD-012", "code/judge.py:7: mentions ORD-012, and there is no"),
        ("code/judge.py", "# by ORD-001", "# by ORD-011", "code/judge.py:10: mentions ORD-011, and there is"),
        ("code/judge.py", "ord_001", "ord_021", "code/judge.py:13: mentions ORD-021, and there is no"),
    ],
)
def test_what_is_wrong_is_found_where_it_is(root: Path, name: str, old: str, new: str, says: str) -> None:
    path = root / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert [one for one in said(root) if one.startswith(says)]


def test_a_file_that_git_ignores_is_not_there_for_anybody_else(root: Path) -> None:
    (root / "build").mkdir()
    (root / "build" / "page.md").write_text("[dead](nowhere.md)")
    assert said(root) == []
    (root / "README.md").write_text("[built](build/flow.svg)")
    (root / "build" / "flow.svg").write_text("<svg/>")
    assert said(root) == ["README.md:1: links to build/flow.svg, which does not exist"]


def test_the_check_looks_around(root: Path) -> None:
    (root / "NEWS.md").write_text("[dead](nowhere.md)")
    assert "NEWS.md:1: links to nowhere.md, which does not exist" in map(str, findings(root / "spec"))


def test_a_string_that_is_no_docstring_is_data() -> None:
    assert list(mentioned("a.py", SOURCE)) == [
        (10, "ORD-001"),
        (1, "ORD-001"),
        (7, "ORD-002"),
        (13, "ORD-001"),
    ]


def test_other_codes_of_three_letters_are_nobodys() -> None:
    assert list(mentioned("a.md", "RFC-822, XORD-001, ORD-0011, ISO-639")) == []
