from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homeostat.model_export.project_files import event_times, reference_table, write_project
from shared.errors import ExportRefused


def test_reference_rows_have_times_in_utc_and_outcomes() -> None:
    rows = pd.DataFrame({"at": ["2026-01-01T01:00:00+01:00", "2026-01-02T00:00:00+00:00"]})
    times = event_times(rows, "at")
    assert times is not None
    table = reference_table(pa.table({"age": [1, 2]}), times, pa.array([1.0, None]))
    assert table.to_pydict() == {
        "event_time": [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)],
        "age": [1, 2],
        "outcome": [1.0, None],
    }


@pytest.mark.parametrize(("value", "message"), [("yesterday-ish", "not times"), (None, "missing values")])
def test_an_event_time_that_is_none_is_refused(value: object, message: str) -> None:
    with pytest.raises(ExportRefused, match=message):
        event_times(pd.DataFrame({"at": ["2026-01-01", value]}), "at")


@pytest.mark.parametrize(
    "times",
    [
        ["2026-01-01", "2026-01-02"],
        ["2026-01-01T05:00:00"],
        pd.to_datetime(["2026-01-01"]),
        [datetime(2026, 1, 1)],
        np.array(["2026-01-01"], "datetime64[us]"),
    ],
)
def test_event_times_without_offset_are_refused(times: Any) -> None:
    with pytest.raises(ExportRefused, match="'at' has times without an offset") as refused:
        event_times(pd.DataFrame({"at": times}), "at")
    assert 'tz_localize("UTC")' in refused.value.hint


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2026-01-01", periods=1, tz="Europe/Rome").shift(1, "h"),
        ["2026-01-01T01:00:00+01:00"],
        ["2026-01-01 00:00 UTC"],
        ["2026-01-01T00:00:00.000Z"],
        [datetime(2026, 1, 1, tzinfo=UTC)],
    ],
)
def test_event_times_with_offset_are_read_in_utc(times: Any) -> None:
    read = event_times(pd.DataFrame({"at": times}), "at")
    assert read is not None
    assert read[0] == pd.Timestamp("2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("numbers", "unit"),
    [
        ([1767225600, 1767225660], "s"),
        ([1767225600.5, None], "s"),
        (["2026-01-01T00:00:00Z", 1767225600000], "ms"),
        (pd.array([1767225600000000], dtype="Int64"), "us"),
        ([1767225600000000000], "ns"),
    ],
)
def test_numbers_are_no_event_times_and_the_hint_converts_them(numbers: Any, unit: str) -> None:
    with pytest.raises(ExportRefused, match="'at' holds numbers") as refused:
        event_times(pd.DataFrame({"at": numbers}), "at")
    assert refused.value.hint.endswith(f'pd.to_datetime(rows["at"], unit="{unit}", utc=True)')


def test_the_line_of_the_hint_makes_event_times() -> None:
    rows = pd.DataFrame({"at": [1767225600]})
    with pytest.raises(ExportRefused) as refused:
        event_times(rows, "at")
    exec(refused.value.hint.partition(": ")[2], {"rows": rows, "pd": pd})
    read = event_times(rows, "at")
    assert read is not None
    assert read[0] == pd.Timestamp("2026-01-01T00:00:00Z")


def test_without_event_times_there_are_none() -> None:
    assert event_times(pd.DataFrame({"age": [1]}), "at") is None


def test_only_the_given_files_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "project"
    assert write_project(
        folder, loop_yaml=None, model=("model.onnx", b"m"), metrics={"mae": 0.5}, reference=None
    ) == (
        "model.onnx",
        "metrics.json",
    )
    assert (folder / "metrics.json").read_bytes() == b'{"mae":0.5}\n'
    table = pa.table({"outcome": [1.0]})
    assert write_project(
        folder, loop_yaml="model: x", model=("model.onnx", b"m"), metrics={}, reference=table
    )[2:] == (
        "reference.parquet",
        "loop.yaml",
    )
    assert pq.read_table(folder / "reference.parquet").equals(table)
