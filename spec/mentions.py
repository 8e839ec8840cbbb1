"""Where requirement ids are mentioned: in Markdown, and in what Python sources say to people."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import chain
from typing import TypeAlias

from eventproof.spec.vocabulary import AREAS

_AREA = "|".join(AREAS)
_ID = re.compile(rf"\b(?:{_AREA})-\d{{3}}\b")
_TEST = re.compile(rf"test_(?P<area>{_AREA.lower()})_(?P<number>\d{{3}})(?:_|$)")
Documented: TypeAlias = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def mentioned(name: str, text: str) -> Iterator[tuple[int, str]]:
    """Line and id of each mention in a file. A Python string is data, unless it is a docstring."""
    lines = _said(text) if name.endswith(".py") else enumerate(text.splitlines(), 1)
    for number, line in lines:
        yield from ((number, found) for found in _ID.findall(line))


def _said(text: str) -> Iterator[tuple[int, str]]:
    """Comments, docstrings, and the ids in the names of tests."""
    if not re.search(_ID, text) and not re.search(_TEST, text):
        return
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = ((one.start[0], one.string) for one in tokens if one.type == tokenize.COMMENT)
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, Documented))
    yield from chain(comments, chain.from_iterable(map(_of, nodes)))


def _of(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[tuple[int, str]]:
    if told := ast.get_docstring(node, clean=False):
        yield from enumerate(told.splitlines(), node.body[0].lineno)
    if not isinstance(node, ast.Module) and (match := _TEST.match(node.name)):
        yield node.lineno, f"{match['area']}-{match['number']}".upper()
