"""The real Evidently draws the summary."""

from __future__ import annotations

import sys
from datetime import date, time

import numpy as np
import pyarrow as pa
import pytest

from shared.data_checks import evidently_summary
from shared.data_checks.evidently_summary import summary_page
from shared.errors import OperatorError
from tests.unit.shared.data_checks.data_sets import parcels, unusual_types, with_column


def test_page_shows_columns_of_every_kind_and_loads_nothing() -> None:
    rows = with_column(parcels(300), "flag", np.arange(300) % 2 == 0)
    rows = with_column(rows, "day", [date(2026, 1, 1)] * 300)
    rows = with_column(rows, "clock", [time(1, 2)] * 300)
    rows = with_column(rows, "lists", [[1.0]] * 300)
    page = summary_page("parcels", ["a finding"], rows, rows)
    assert "a finding" in page
    for name in ("distance_km", "service", "flag"):
        assert name in page
    assert f"Drawn: {rows.num_columns - 4} of {rows.num_columns} columns." in page
    assert "default-src 'none'" in page


def test_columns_of_unusual_types_end_no_page() -> None:
    rows = pa.table(unusual_types(100))
    page = summary_page("unusual", [], rows, rows)
    for name in ("half", "view", "decimal"):
        assert name in page


def test_values_end_no_script() -> None:
    evil = with_column(parcels(100), "service", ["</script><script>alert(1)</script>"] * 100)
    assert "</script><script>alert(1)" not in summary_page("x", [], evil)


def test_large_data_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidently_summary, "MAX_ROWS", 50)
    assert "Drawn from 50 of 200 rows" in summary_page("x", [], parcels(200))


def test_nothing_that_can_be_drawn() -> None:
    for rows in (pa.table({"lists": [[1.0]]}), parcels(50).select(["event_time"])):
        assert "Drawn: 0 of 1 columns" in summary_page("x", [], rows)


def test_without_evidently_the_hint_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evidently", None)
    with pytest.raises(OperatorError) as missing:
        summary_page("x", [], parcels(100))
    assert "`eda`" in missing.value.hint
