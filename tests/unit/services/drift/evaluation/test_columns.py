from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.columns import columns_of, rows_from_table, sample
from tests.unit.services.drift.world import loop, minutes, ordinary

TENSOR = {
    "features": [{"name": "t", "type": "tensor", "shape": [2, 2]}, {"name": "b", "type": "boolean"}],
    "prediction": {"kind": "value"},
    "metric": {"name": "mae"},
}


def test_rows_come_in_time_order_and_keep_what_is_missing() -> None:
    table = pa.table(
        {
            "event_time": [minutes(2), minutes(0), minutes(1)],
            "f_x": pa.array([2.0, None, float("inf")]),
            "f_c": pa.array(["a", None, "b"]),
            "score": pa.array([0.2, 0.0, None]),
            "outcome": pa.array([1.0, None, 0.0]),
        }
    )
    rows = rows_from_table(table, loop(), prefix="f_")
    assert np.array_equal(rows.columns["x"].astype(float), [np.nan, np.nan, 2.0], equal_nan=True)
    assert rows.columns["c"].tolist() == [None, "b", "a"]
    assert np.array_equal(rows.score, [0.0, np.nan, 0.2], equal_nan=True)
    assert np.array_equal(rows.outcome, [np.nan, 0.0, 1.0], equal_nan=True)


def test_a_column_the_table_lacks_is_missing_in_every_row() -> None:
    rows = rows_from_table(pa.table({"event_time": [minutes(0)]}), loop())
    assert rows.columns["c"].tolist() == [None]
    assert np.isnan(rows.columns["x"].astype(float)).all()
    assert np.isnan(rows.score).all()


def test_no_rows_are_rows_too() -> None:
    rows = rows_from_table(pa.table({"event_time": pa.array([], pa.timestamp("us", tz="UTC"))}), loop())
    assert len(rows) == 0


def test_a_tensor_is_summarised_by_mean_and_spread() -> None:
    spec = loop(**TENSOR)
    table = pa.table(
        {
            "event_time": [minutes(0), minutes(1)],
            "t": [[1.0, 2.0, 3.0, 4.0], [5.0] * 4],
            "b": [True, None],
            "score": [1.0, 2.0],
        }
    )
    rows = rows_from_table(table, spec)
    assert [column.name for column in columns_of(spec)] == ["t.mean", "t.std", "b"]
    assert rows.columns["t.mean"].tolist() == [2.5, 5.0]
    assert rows.columns["t.std"].tolist() == pytest.approx([np.std([1, 2, 3, 4]), 0.0])
    assert rows.columns["b"].tolist() == ["true", None]


def test_a_sample_is_seeded_and_spread_over_all_of_the_time() -> None:
    rows = rows_from_table(pa.table(ordinary(10000, 1)), loop())
    few = sample(rows, 1000, seed=7)
    assert len(few) == 1000
    assert np.array_equal(few.event_time, sample(rows, 1000, seed=7).event_time)
    assert not np.array_equal(few.event_time, sample(rows, 1000, seed=8).event_time)
    places = np.searchsorted(rows.event_time, few.event_time)
    assert (places // 10).tolist() == list(range(1000))


def test_fewer_rows_than_asked_for_stay_as_they_are() -> None:
    rows = rows_from_table(pa.table(ordinary(10, 1)), loop())
    assert sample(rows, 10, seed=1) is rows
