"""The terminal: what a person reads goes to stdout, how far a run is to stderr."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from typing_extensions import Self

console = Console(highlight=False)


class Progress:
    """`eventproof.conformance.case.Watcher`: one bar, for the present phase; nothing unless on a terminal."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
        )
        terminal = Console(stderr=True)
        self._bars = Bars(*columns, console=terminal, transient=True, disable=not terminal.is_terminal)
        self._task = self._bars.add_task("starting", total=None)

    def phase(self, text: str, steps: int) -> None:
        self._bars.reset(self._task, description=text, total=steps)

    def step(self) -> None:
        self._bars.advance(self._task)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
