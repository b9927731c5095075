"""Findings and columns as tables."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from cli.data.findings_view import columns_view, count_text, findings_view
from shared.data_checks.column_profile import profile_column
from shared.data_checks.finding import Finding
from tests.unit.shared.data_checks.data_sets import parcels

ERROR = Finding("wrong_type", "error", "a", "a [b] is text", "write numbers")


def printed(shown: object) -> str:
    console = Console(width=200, file=StringIO())
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


def test_findings_with_hints_and_the_summary_last() -> None:
    text = printed(findings_view([ERROR], "rows.csv: 1 error"))
    assert "a [b] is text" in text
    assert "write numbers" in text
    assert text.rstrip().endswith("rows.csv: 1 error")


def test_counts() -> None:
    note = Finding("identifier", "note", "a", "…")
    assert count_text([ERROR, note, note]) == "1 error, 2 notes"


def test_columns_show_range_or_frequent_values() -> None:
    rows = parcels(300)
    text = printed(columns_view([profile_column(name, rows[name]) for name in rows.column_names]))
    assert "economy" in text
    assert "median" in text
    assert "2026-01-01 00:" in text
