"""A file of history: its kind by its name, its columns against the model, and its rows checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cli.history.content import CheckedFile
from cli.history.csv_file import CsvFile
from cli.history.json_lines import JsonLines
from cli.history.parquet_file import ParquetFile
from cli.history.raw_rows import Refused
from cli.history.validation import Columns, Validation
from shared.contracts.loop_spec import LoopSpec
from shared.errors import CallerError

SUFFIXES = (".parquet", ".csv", ".jsonl")
HistoryFile = ParquetFile | CsvFile | JsonLines


def open_history(path: Path, loop: LoopSpec, columns: Columns) -> HistoryFile:
    """The file, by its suffix. Raises CallerError for another one, ProjectError for a file that cannot be read."""
    if path.suffix == ".parquet":
        return ParquetFile(path)
    if path.suffix == ".csv":
        return CsvFile(path)
    if path.suffix in (".jsonl", ".ndjson"):
        features = [feature.name for feature in loop.features]
        return JsonLines(path, features, time=columns.time, outcome=columns.outcome, score=columns.score)
    raise CallerError(f"{path} has none of the suffixes {', '.join(SUFFIXES)}", hint="name it rows.parquet")


def check_file(
    path: Path,
    validation: Validation,
    into: Path,
    *,
    on_rows: Callable[[int], None] = lambda _: None,
    on_refused: Callable[[Refused], None] = lambda _: None,
) -> tuple[CheckedFile, list[str]]:
    """The file's rows, checked, in the temporary file `into`; and its columns that are not imported. Raises ProjectError."""
    file = open_history(path, validation.loop, validation.columns)
    ignored = validation.columns.check(validation.loop, path, file.names)
    return CheckedFile(into).read(file, validation.checked, on_rows=on_rows, on_refused=on_refused), ignored
