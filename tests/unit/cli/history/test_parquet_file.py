"""Parquet: rows in batches, numbered from 1."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.history.parquet_file import ParquetFile
from shared.errors import ProjectError


def test_rows_are_numbered_over_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": range(5000)}), path)
    parts = list(ParquetFile(path))
    assert [len(part.lines) for part in parts] == [4096, 904]
    assert (parts[1].lines[0], parts[1].columns["a"][0].as_py()) == (4097, 4096)


def test_other_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("a,b")
    with pytest.raises(ProjectError, match="cannot be read as Parquet"):
        ParquetFile(path)
