"""A progress bar on standard error; nothing in a pipe or with --json."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cli.output import Output


class Bar:
    """One line with the current step and its progress. Without a `progress` nothing is shown."""

    def __init__(self, progress: Progress | None, task: TaskID | None) -> None:
        self._progress, self._task = progress, task

    def advance(self, by: float = 1.0) -> None:
        """Add `by` to the completed amount."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, by)

    def set(self, done: float, total: float | None = None) -> None:
        """Set the completed amount, and the total if it has changed."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)

    def step(self, text: str) -> None:
        """Set the description."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=text)


@contextmanager
def bar(output: Output, text: str, total: float | None = None) -> Iterator[Bar]:
    """A progress bar for the block. `total` in the unit of `advance`; None if unknown: only the time is shown."""
    if output.as_json or not output.err.is_terminal:
        yield Bar(None, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    kept = columns if total is not None else (columns[0], columns[1], columns[3])
    with Progress(*kept, console=output.err, transient=True) as progress:
        yield Bar(progress, progress.add_task(text, total=total))
