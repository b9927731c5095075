"""The file of `--refused`: every row that is not valid, as JSON lines."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import orjson

from cli.history.raw_rows import Refused
from shared.files import atomic_path


class RefusedRows:
    """Writes to `path`, which appears when all is written; None writes nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stack = ExitStack()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            temporary = self._stack.enter_context(atomic_path(self._path))
            self._file = self._stack.enter_context(temporary.open("wb"))
        return self

    def add(self, source: Path, row: Refused) -> None:
        """Write one row: its file, line, field, and what is wrong."""
        if self._file is not None:
            line = {"file": str(source), "line": row.line, "field": row.field, "problem": row.problem}
            self._file.write(orjson.dumps(line) + b"\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Also when nothing is imported because of these rows: then the file is needed most.
        self._stack.close()
