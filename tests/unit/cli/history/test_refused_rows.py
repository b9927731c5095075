"""The file of rows that are not valid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.history.raw_rows import Refused
from cli.history.refused_rows import RefusedRows


def test_file_is_written_also_when_the_import_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "refused.jsonl"

    def refuse() -> None:
        with RefusedRows(path) as file:
            file.add(Path("rows.csv"), Refused(3, "distance", "is 'x'; expected a number"))
            raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        refuse()
    assert json.loads(path.read_text()) == {
        "file": "rows.csv",
        "line": 3,
        "field": "distance",
        "problem": "is 'x'; expected a number",
    }


def test_without_path_nothing_is_written(tmp_path: Path) -> None:
    with RefusedRows(None) as file:
        file.add(Path("rows.csv"), Refused(3, "", "no"))
    assert list(tmp_path.iterdir()) == []
