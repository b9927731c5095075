"""Rows that came in any order of their times lie in that order after compaction, and rows in order are not sorted again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from services.prediction_log.sink import table_properties
from services.prediction_log.sink.compaction import compact, mixed_months, months_of_many_files
from services.prediction_log.sink.table_properties import Retention
from shared.contracts.lake_schema import PARTITION, TIMESTAMP, partition_of

START = datetime(2013, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
_MICROS = int(DAY / timedelta(microseconds=1))


def commit(location: str, days: np.ndarray[Any, Any]) -> None:
    times = pa.array((START.timestamp() * 1e6 + days * _MICROS).astype(np.int64), TIMESTAMP)
    rows = {"event_time": times, "number": days, PARTITION: [partition_of(START)] * len(days)}
    write_deltalake(
        location,
        pa.table(rows),
        mode="append",
        partition_by=[PARTITION],
        configuration=table_properties.table_properties(Retention(), ["event_time"]),
    )


def files(location: str) -> pa.Table:
    return pa.table(DeltaTable(location).get_add_actions(flatten=True))


def row_groups_of_a_day(location: str) -> tuple[int, int]:
    """Row groups that may hold rows of the tenth day, and all of them."""
    first, last = START + 10 * DAY, START + 11 * DAY
    matching = every = 0
    for uri in DeltaTable(location).file_uris():
        metadata = pq.ParquetFile(uri.removeprefix("file://")).metadata
        for place in range(metadata.num_row_groups):
            times = metadata.row_group(place).column(0).statistics
            every += 1
            matching += times.min < last and times.max >= first
    return matching, every


@pytest.fixture
def location(tmp_path: Path) -> str:
    return str(tmp_path / "table")


def test_mixed_rows_are_sorted_so_that_a_day_is_few_row_groups(location: str) -> None:
    random = np.random.default_rng(1)
    for _ in range(6):
        commit(location, random.random(60_000) * 28)
    matching, every = row_groups_of_a_day(location)
    assert matching == every
    compact(DeltaTable(location), "event_time", Retention())
    matching, every = row_groups_of_a_day(location)
    assert every >= 20
    assert matching <= 3
    table = DeltaTable(location)
    assert table.to_pyarrow_dataset().count_rows() == 360_000
    assert table.history(1)[0]["operation"] == "OPTIMIZE"
    version = table.version()
    compact(DeltaTable(location), "event_time", Retention())
    assert DeltaTable(location).version() == version, "what is sorted is left"


def test_rows_in_order_are_merged_and_not_sorted(location: str) -> None:
    for day in range(8):
        commit(location, day + np.linspace(0, 1.5, 100))
    assert mixed_months(files(location), "event_time") == []
    compact(DeltaTable(location), "event_time", Retention())
    assert files(location).num_rows == 1


def listed(*found: tuple[str, int, float, float]) -> pa.Table:
    """Files of (month, megabytes, first and last day)."""
    return pa.table(
        {
            f"partition.{PARTITION}": [month for month, *_ in found],
            "size_bytes": [size << 20 for _, size, *_ in found],
            "min.event_time": pa.array([START + first * DAY for *_, first, _ in found], TIMESTAMP),
            "max.event_time": pa.array([START + last * DAY for *_, last in found], TIMESTAMP),
        }
    )


@pytest.mark.parametrize(
    ("files", "is_mixed"),
    [
        ([("m", 1, 0, 28)] * 4, True),
        ([("m", 1, 0, 28)] * 3, False),  # as sinks that write side by side make them
        ([("m", 1, 5, 5)] * 9, False),
        ([("set-aside", 1, 0, 28)] * 9, False),
        ([("m", 300, 0, 28)] * 4, False),  # too large to be sorted as a whole
        # Large and sorted, with few rows of any time beside: these alone are merged.
        ([("m", 100, 0, 7), ("m", 100, 7, 14), ("m", 100, 14, 21), ("m", 100, 21, 28)] + [("m", 5, 0, 28)] * 4, False),
        ([("m", 100, 0, 7), ("m", 100, 7, 14), ("m", 100, 14, 21), ("m", 100, 21, 28)] + [("m", 100, 0, 28)] * 4, True),
    ],
)  # fmt: skip
def test_months_are_sorted_where_a_window_reads_most_of_them(
    files: list[tuple[str, int, float, float]], is_mixed: bool
) -> None:
    assert mixed_months(listed(*files), "event_time") == (["m"] if is_mixed else [])


def test_table_without_statistics_is_not_sorted() -> None:
    assert mixed_months(listed(("m", 1, 0, 28)).drop_columns(["min.event_time"]), "event_time") == []


def test_merged_files_are_merged_into_a_large_one_when_they_are_many() -> None:
    few, large = [("few", 8, 0, 1)] * 15, [("large", 60, 0, 1)] * 20
    assert months_of_many_files(listed(*few, *large)) == []
    assert months_of_many_files(listed(*few, *large, *[("many", 8, 0, 1)] * 16)) == ["many"]


def test_each_row_is_written_a_bounded_number_of_times(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small sizes stand for megabytes: a file of the larger size is not written again with each compaction."""
    monkeypatch.setattr("services.prediction_log.sink.compaction._SMALL_BYTES", 20_000)
    written, known = 0, set[str]()
    for place in range(60):
        commit(location, place / 3 + np.linspace(0, 0.3, 200))
        if place % 6 == 5:
            compact(DeltaTable(location), "event_time", Retention())
            now = dict(
                zip(
                    files(location)["path"].to_pylist(),
                    files(location)["num_records"].to_pylist(),
                    strict=True,
                )
            )
            written += sum(rows for path, rows in now.items() if path not in known)
            known |= now.keys()
    assert DeltaTable(location).to_pyarrow_dataset().count_rows() == 12_000
    assert written <= 3 * 12_000
