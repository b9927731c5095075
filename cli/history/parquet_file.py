"""Rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cli.history.raw_rows import READ_ROWS, RawRows
from shared.errors import ProjectError


class ParquetFile:
    """The rows of a Parquet file, in batches. Raises ProjectError for a file that is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                self.names = list(file.schema_arrow.names)
        except (OSError, pa.ArrowException) as error:
            raise ProjectError(
                f"{path} cannot be read as Parquet: {error}", hint="write it again as a Parquet file"
            ) from error

    def __iter__(self) -> Iterator[RawRows]:
        start = 1
        try:
            with pq.ParquetFile(self._path) as file:
                for batch in file.iter_batches(READ_ROWS):
                    columns = dict(zip(self.names, batch.columns, strict=True))
                    yield RawRows(columns, range(start, start + batch.num_rows))
                    start += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise ProjectError(
                f"{self._path} cannot be read from row {start} on: {error}", hint="write the file again"
            ) from error
