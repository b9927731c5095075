"""CSV: lines as they are in the file, quotes, and rows that do not fit the header."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.history.csv_file import CsvFile
from cli.history.raw_rows import RawRows
from shared.errors import ProjectError


def read(path: Path, text: str) -> RawRows:
    path.write_bytes(text.encode())
    [rows] = list(CsvFile(path))
    return rows


def test_lines_count_line_breaks_in_quotes(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", '\ufeffname,text\r\n1,"two\r\nlines"\r\n\r\n2,x\r\n3\r\n4,\r\n')
    assert rows.columns["name"].to_pylist() == ["1", "2", "4"]
    assert rows.columns["text"].to_pylist() == ["two\r\nlines", "x", None]
    assert list(rows.lines) == [2, 5, 7]
    [refused] = rows.refused
    assert (refused.line, refused.problem) == (6, "has 1 fields, but the header 2")


def test_row_that_cannot_be_parsed_is_named_and_the_next_is_read(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", 'name,text\n1,"a"b\n2,c\n')
    assert rows.columns["name"].to_pylist() == ["2"]
    assert [one.line for one in rows.refused] == [2]


@pytest.mark.parametrize(
    ("text", "problem"), [("", "no header"), ("a,b,a\n1,2,3\n", "column a appears twice")]
)
def test_header_is_checked(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ProjectError, match=problem):
        read(tmp_path / "a.csv", text)
