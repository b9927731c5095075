"""Predictions of outcomes are looked up in the files of their hours alone: the others are broken here."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from shared.stores.lake import Lake
from shared.stores.queries import unmatched_outcomes as unmatched_module
from shared.stores.queries.unmatched_outcomes import known_predictions, unmatched_outcomes
from tests.unit.shared.stores.tables.test_id_hours import (
    DAY,
    HOUR,
    OLD,
    START,
    column,
    made_at,
    observe,
    predict,
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_outcomes_of_a_time_of_receipt_are_looked_up(lake: Lake) -> None:
    known, early, lost, late = (made_at(START) for _ in range(4))
    predict(lake, START, name=known)
    for name, after in ((early, DAY - HOUR), (known, DAY), (lost, DAY), (late, DAY + HOUR)):
        observe(lake, name, 1.0, START + after)
    found = unmatched_outcomes(lake, "flights", START + DAY, START + DAY + HOUR)
    assert (found.rows, found.unmatched["prediction_id"].to_pylist()) == (2, [lost])
    assert "id_hour" not in found.unmatched.column_names


def test_only_files_of_the_hours_of_the_ids_are_read(lake: Lake) -> None:
    predict(lake, START - 3 * DAY)
    for path in Path(lake.predictions("flights")).rglob("*.parquet"):
        path.write_bytes(b"not a parquet file")
    first, last = predict(lake, START), predict(lake, START + DAY, answered=timedelta(minutes=30))
    lost = [made_at(START + hours * HOUR) for hours in (0, 24)]
    known = known_predictions(lake, "flights", column(lost[1], first, last, lost[0]))
    assert known.to_pylist() == [False, True, True, False]


def test_ids_without_hour_are_looked_up_everywhere(lake: Lake) -> None:
    predict(lake, START - 30 * DAY, name=OLD)
    named = predict(lake, START)
    known = known_predictions(lake, "flights", column(named, OLD, "other"))
    assert known.to_pylist() == [True, True, False]


def test_lookups_are_of_bounded_size(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmatched_module, "_ROWS_AT_ONCE", 2)
    names = [predict(lake, START) for _ in range(5)]
    lost = made_at(START)
    for name in (*names, lost):
        observe(lake, name, 1.0, START + HOUR)
    found = unmatched_outcomes(lake, "flights", START, START + DAY)
    assert (found.rows, found.unmatched["prediction_id"].to_pylist()) == (6, [lost])


def test_lake_without_tables_knows_nothing(lake: Lake) -> None:
    assert unmatched_outcomes(lake, "flights", START, START + DAY).rows == 0
    assert known_predictions(lake, "flights", column("a")).to_pylist() == [False]
