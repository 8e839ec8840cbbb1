"""The rules of the house, as architecture.md and style.md give them, read from the source itself."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import eventproof
from eventproof.adapters import port

ROOT = Path(__file__).parents[1]
FOLDERS = ("spec", "schemas", "adapters", "conformance")
FACE = ROOT / "src" / "eventproof" / "__init__.py"
LONGEST_FILE = 300
LONGEST_TEST = 500  # a list of cases is read one case at a time
LONGEST_FUNCTION = 40
MAY_IMPORT = {
    "spec": {"spec"},
    "schemas": {"schemas"},
    "adapters": {"adapters", "schemas"},
    "conformance": {"conformance", "adapters", "schemas", "spec"},
}
MAY_NAME_AN_ADAPTER = ("conformance.targets.", "conformance.mutants.", "conformance.selftest")
WALL_CLOCK = "adapters.clock"
NO_NAMES = {"utils", "helpers", "common", "manager", "base"}
ADAPTERS = sorted(p.name for p in (ROOT / "adapters").iterdir() if (p / "__init__.py").is_file())
CLIENTS = {"nats": "nats", "kafka": "aiokafka", "rabbitmq": "aio_pika"}


def module_name(path: Path) -> str:
    """`adapters.memory.engine` for adapters/memory/engine.py, "" for the face."""
    if path == FACE:
        return ""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources() -> Mapping[str, ast.Module]:
    """Every module of the package, by its name below `eventproof`."""
    paths = [FACE, *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))]
    return {module_name(path): ast.parse(path.read_text(), str(path)) for path in paths}


def files() -> list[Path]:
    """Every Python file of the project."""
    folders = (*FOLDERS, "tests", "benchmarks", "examples")
    return [FACE, *(path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))]


def imported(node: ast.AST) -> Iterator[str]:
    """The full names that an import statement binds; from a package also its modules."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(full: str) -> str | None:
    """The module of ours that an imported name is, or is defined in; None for somebody else's."""
    package, _, inner = full.partition(".")
    if package != "eventproof":
        return None
    while inner not in sources():
        inner = inner.rpartition(".")[0]
    return inner


def imports_of(name: str) -> set[str]:
    """The modules of ours that one imports anywhere in its text."""
    found = {module_of(full) for node in ast.walk(sources()[name]) for full in imported(node)}
    return {module for module in found if module is not None} - {name}


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when a module is imported: no function's body, and nothing for the type checker alone."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from statements([*node.body, *node.orelse, *node.finalbody])
            yield from statements([inner for handler in node.handlers for inner in handler.body])
        elif isinstance(node, (ast.With, ast.ClassDef)):
            yield from statements(node.body)


def loaded_by(name: str) -> set[str]:
    """The modules of ours that importing one imports at once."""
    found = {module_of(full) for node in statements(sources()[name].body) for full in imported(node)}
    return {module for module in found if module is not None} - {name}


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Some cycle of the graph, or nothing."""
    done: set[str] = set()

    def search(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in done:
            for following in sorted(graph[node]):
                if found := search(following, [*path, node]):
                    return found
            done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := search(node, []))), [])


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


def concrete(module: str) -> str:
    """The adapter that a module belongs to, "" for the port's shared parts."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "adapters" and parts[1] in ADAPTERS else ""


# What the tests stand on


def test_the_search_for_cycles_finds_one_and_no_other() -> None:
    assert cycle({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_an_import_is_followed_to_its_module() -> None:
    assert module_of("eventproof.adapters.memory.engine.Engine") == "adapters.memory.engine"
    assert module_of("eventproof.adapters.memory.Engine") == "adapters.memory"
    assert module_of("eventproof.connect") == ""
    assert module_of("nats.aio.client.Client") is None
    assert "adapters.port" in loaded_by("")


# Import direction


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_go_one_way(folder: str) -> None:
    wrong = [
        f"{name} imports {module or 'eventproof'}"
        for name in sources()
        if name.split(".")[0] == folder
        for module in imports_of(name)
        if module.split(".")[0] not in MAY_IMPORT[folder]
    ]
    assert not wrong


def test_no_import_cycle() -> None:
    assert not cycle({name: loaded_by(name) for name in sources()})


def test_imports_are_absolute() -> None:
    relative = [
        name
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def test_only_targets_and_mutants_name_an_adapter() -> None:
    wrong = [
        f"{name} imports {module}"
        for name in sources()
        if name.startswith("conformance.") and not name.startswith(MAY_NAME_AN_ADAPTER)
        for module in imports_of(name)
        if concrete(module)
    ]
    assert not wrong


def test_no_adapter_imports_another() -> None:
    wrong = [
        f"{name} imports {module}"
        for name in sources()
        if concrete(name)
        for module in imports_of(name)
        if concrete(module) not in {"", concrete(name)}
    ]
    assert not wrong


def test_the_shared_parts_of_the_port_know_no_adapter() -> None:
    shared = [name for name in sources() if name.startswith("adapters") and not concrete(name)]
    assert not [name for name in shared if any(concrete(module) for module in imports_of(name))]


def test_a_rule_imports_the_history_and_nothing_else_of_the_project() -> None:
    wrong = [
        f"{name} imports {module}"
        for name in sources()
        if name.startswith("conformance.rules")
        for module in imports_of(name)
        if not module.startswith(("conformance.history.", "conformance.rules"))
    ]
    assert not wrong


# The clock


def wall_clock(tree: ast.Module) -> list[str]:
    """Where a module could read the time from something else than the loop."""
    names = [full for node in ast.walk(tree) for full in imported(node)]
    found = [full for full in names if full.split(".")[0] == "time"]
    forbidden = {"now", "utcnow", "today", "fromtimestamp"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in forbidden:
            owner = ast.unparse(node.value)
            if owner.split(".")[-1] in {"datetime", "date"}:
                found.append(f"{owner}.{node.attr}")
    return found


def test_the_clock_ban_sees_what_it_bans() -> None:
    text = (
        "import time\nfrom time import monotonic\nfrom datetime import datetime\ndatetime.now()\nclock.now()"
    )
    assert wall_clock(ast.parse(text)) == ["time", "time.monotonic", "datetime.now"]
    assert wall_clock(sources()[WALL_CLOCK])


def test_no_clock_but_the_loops() -> None:
    wrong = {
        name: found
        for name, tree in sources().items()
        if name.startswith(("adapters", "conformance")) and name != WALL_CLOCK and (found := wall_clock(tree))
    }
    assert not wrong


# One client at a time


def loaded_after(statement: str) -> set[str]:
    """The top-level modules in a fresh interpreter that ran a statement."""
    shown = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", shown], env=environment, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["eventproof", "eventproof.conformance.cli"])
def test_importing_the_package_imports_no_brokers_client(module: str) -> None:
    assert not loaded_after(f"import {module}") & set(CLIENTS.values())


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_importing_an_adapter_imports_no_other_brokers_client(adapter: str) -> None:
    loaded = loaded_after(f"import eventproof.adapters.{adapter}")
    assert "eventproof" in loaded
    assert not loaded & {client for name, client in CLIENTS.items() if name != adapter}


def test_each_adapter_has_an_entry_point() -> None:
    assert set(ADAPTERS) <= {point.name for point in entry_points(group="eventproof.adapters")}


# Budgets and names


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in files()
        for function in functions(ast.parse(path.read_text()))
        if (function.end_lineno or 0) - function.lineno >= LONGEST_FUNCTION
    ]
    assert not long


def test_no_file_is_too_long() -> None:
    lengths = {path.relative_to(ROOT): path.read_text().count("\n") for path in files()}
    most = {path: LONGEST_TEST if path.parts[0] == "tests" else LONGEST_FILE for path in lengths}
    assert not {str(path): lines for path, lines in lengths.items() if lines > most[path]}


def test_no_module_is_named_for_nothing() -> None:
    assert not [str(p) for p in files() if NO_NAMES & {*p.relative_to(ROOT).with_suffix("").parts}]


def test_every_class_of_the_port_is_exported() -> None:
    public = {
        name
        for name, value in vars(port).items()
        if isinstance(value, type) and not name.startswith("_") and value.__module__ == port.__name__
    }
    assert public >= {"Broker", "Delivery", "Subscription", "Receipt"}
    assert public <= set(eventproof.__all__)


def test_what_is_exported_is_there_and_sorted() -> None:
    assert eventproof.__all__ == sorted(eventproof.__all__)
    assert all(hasattr(eventproof, name) for name in eventproof.__all__)
