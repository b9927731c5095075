"""Files: every kind that is read, and clear errors for the others."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.data_checks.table_file import read_table
from shared.errors import ProjectError

ROWS = pa.table({"a": [1, 2], "b": ["x", "y"]})


def test_every_kind_reads_the_same_rows(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "rows.TSV").write_text("a\tb\n1\tx\n2\ty\n")
    (tmp_path / "rows.jsonl").write_text('{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n')
    for path in sorted(tmp_path.iterdir()):
        assert read_table(path).to_pydict() == ROWS.to_pydict(), path


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.xlsx", "", "unknown kind"),
        ("rows.parquet", "no parquet", "cannot be read"),
        ("rows.csv", "a,a\n1,2\n", "two columns named a"),
        ("rows.csv", "a,b\n", "no rows"),
        ("rows.jsonl", "{", "cannot be read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ProjectError, match=said) as refused:
        read_table(tmp_path / name)
    assert refused.value.hint


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="there is no file"):
        read_table(tmp_path / "rows.csv")
