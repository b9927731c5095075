from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.inference.models.input_schema import Schema
from services.inference.tasks.parquet_rows import ParquetRows, event_times, to_batch
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def schema(**feature: Any) -> Schema:
    return Schema([Feature.model_validate({"name": "x", "type": "number"} | feature)])


def values(checked: Schema, column: pa.Array) -> Any:
    return to_batch(checked, pa.table({"x": column, "other": column}), first_row=0).columns["x"]


def test_missing_numbers_are_null_or_nan() -> None:
    nullable = schema(nullable=True)
    assert values(nullable, pa.array([1.5, float("nan"), None])) == [1.5, None, None]
    assert values(nullable, pa.array([1, None], pa.int8())) == [1.0, None]
    assert values(schema(nullable=True, type="integer"), pa.array([3.0, float("nan")])) == [3, None]


def test_absent_column_is_missing_values() -> None:
    table = pa.table({"other": [1, 2]})
    assert to_batch(schema(nullable=True), table, first_row=0).columns["x"] == [None, None]
    with pytest.raises(InvalidRequest, match="`file` has no column 'x'"):
        to_batch(schema(), table, first_row=0)


def test_row_in_an_error_is_that_of_the_file() -> None:
    with pytest.raises(InvalidRequest, match="feature x of row 1002 is 'a'") as refused:
        to_batch(schema(), pa.table({"x": pa.array(["1", "a"])}).slice(1), first_row=1002)
    assert refused.value.row == 1002


def test_texts_may_be_a_dictionary() -> None:
    colours = schema(type="category", values=["red", "green"])
    assert values(colours, pa.array(["red", "green", "red"]).dictionary_encode()) == ["red", "green", "red"]


def test_timestamps_have_an_offset() -> None:
    times = schema(type="timestamp")
    found = values(times, pa.array([MOMENT], pa.timestamp("us", "Europe/Berlin")))
    assert found.tolist() == [datetime(2026, 1, 1)]
    assert values(times, pa.array(["2026-01-01T01:00:00+01:00"])).tolist() == [datetime(2026, 1, 1)]
    with pytest.raises(InvalidRequest, match="without an offset"):
        values(times, pa.array([datetime(2026, 1, 1)], pa.timestamp("us")))


def test_tensors_are_lists() -> None:
    tensors = schema(type="tensor", shape=[2, 2])
    nested = pa.array([[[1.0, 2.0], [3.0, 4.0]]])
    np.testing.assert_array_equal(values(tensors, nested), [[[1, 2], [3, 4]]])
    with pytest.raises(InvalidRequest, match="column x of the rows cannot be read") as refused:
        values(tensors, pa.array([[1.0]]))
    assert refused.value.expected == "lists of shape [2, 2]"


def test_event_times_are_bounded_and_have_an_offset() -> None:
    table = pa.table({"at": pa.array([MOMENT, MOMENT], pa.timestamp("ms", "UTC"))})
    assert event_times(table, "at", first_row=0) == [MOMENT, MOMENT]
    for column, named in (
        (pa.array([datetime(2026, 1, 1)]), "without an offset"),
        (pa.array([datetime(2999, 1, 1, tzinfo=UTC)], pa.timestamp("s", "UTC")), "ahead of"),
        (pa.array([None], pa.timestamp("s", "UTC")), "`at` is None"),
        (pa.array([7]), "`at` is 7"),
    ):
        with pytest.raises(InvalidRequest, match=named) as refused:
            event_times(pa.table({"at": column}), "at", first_row=30)
        assert refused.value.row == 30
    with pytest.raises(InvalidRequest, match="no column 'then'"):
        event_times(table, "then", first_row=0)


def test_rows_are_read_in_order_and_only_asked_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": range(2500), "y": range(2500)}), tmp_path / "rows")
    rows = ParquetRows(tmp_path / "rows", maximum_rows=2500)
    tables = list(rows.tables(frozenset({"x", "z"})))
    assert [table.column_names for table in tables] == [["x"]] * len(tables)
    assert pa.concat_tables(tables)["x"].to_pylist() == list(range(2500))
    assert max(table.num_rows for table in tables) <= 1000


def test_empty_long_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "rows")
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), tmp_path / "empty")
    (tmp_path / "text").write_text("PAR1")
    for name, status in (("rows", 413), ("empty", 422), ("text", 400)):
        with pytest.raises(InvalidRequest) as refused:
            ParquetRows(tmp_path / name, maximum_rows=1)
        assert refused.value.status == status


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    pq.write_table(pa.table({"amount": [1.5]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"amount", b"amo\xdfnt"))
    with pytest.raises(InvalidRequest, match="`file` cannot be read"):
        ParquetRows(path, maximum_rows=10)


def test_texts_that_are_no_text_are_refused() -> None:
    damaged = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\x8e")]
    )
    colours = schema(type="category", values=["a"])
    with pytest.raises(InvalidRequest, match="`file` cannot be read"):
        to_batch(colours, pa.table({"x": damaged}), first_row=0)
