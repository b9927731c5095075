"""`homeostat eda`: any file, with a page."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.cli.command import run
from tests.unit.shared.data_checks.data_sets import numbers, parcels, with_column


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file in which one column gives the outcome away."""
    table = parcels(300)
    pq.write_table(with_column(table, "refund", numbers(table, "outcome") * 9), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_columns_and_findings(rows: Path) -> None:
    done = run("eda", str(rows))
    assert done.exit_code == 0, done.output
    assert "distance_km" in done.output
    assert "refund alone separates" in done.output


def test_json_and_another_outcome(rows: Path) -> None:
    done = run("eda", str(rows), "--outcome", "distance_km", "--json")
    document = json.loads(done.stdout)
    assert document["rows"] == 300
    assert [column["name"] for column in document["columns"]][-1] == "refund"
    assert "leakage" not in [one["kind"] for one in document["findings"]]


def test_page_has_the_findings(rows: Path) -> None:
    page = rows.with_suffix(".html")
    done = run("eda", str(rows), "--html", str(page))
    assert done.exit_code == 0, done.output
    assert "refund alone separates" in page.read_text()


@pytest.mark.parametrize("arguments", [(), ("rows.parquet", "--model", "parcels")])
def test_file_or_model(arguments: tuple[str, ...]) -> None:
    done = run("eda", *arguments)
    assert done.exit_code == 3
    assert "give a file, or --model" in done.stderr
