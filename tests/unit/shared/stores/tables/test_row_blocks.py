"""Blocks follow one another without gap, hold a bounded number of rows, and files made of them hold what one read gives."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from shared.contracts.lake_schema import ID_HOUR, TIMESTAMP
from shared.stores.tables import row_blocks
from shared.stores.tables.row_blocks import RowFile, blocks_between, copy_last_rows, first_and_last

START = datetime(2013, 1, 1, tzinfo=UTC)
END = datetime(2013, 1, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)


def table(path: Path, column: str, times: list[datetime]) -> DeltaTable:
    rows = pa.table({column: pa.array(times, TIMESTAMP)})
    write_deltalake(str(path), rows, configuration={"delta.dataSkippingStatsColumns": column})
    return DeltaTable(str(path))


@pytest.fixture
def hourly(tmp_path: Path) -> DeltaTable:
    """Ten predictions an hour for a day."""
    times = [START + place * HOUR / 10 for place in range(240)]
    return table(tmp_path / "predictions", "event_time", times)


def test_blocks_follow_one_another_and_are_bounded(
    hourly: DeltaTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 30)
    outcomes = table(tmp_path / "outcomes", ID_HOUR, [START, START + 23 * HOUR])
    blocks = blocks_between(hourly, outcomes, START, END)
    assert blocks[0] == (START, START + 3 * HOUR)
    assert blocks[-1] == (START + 24 * HOUR, END)
    assert len(blocks) == 9
    assert all(before[1] == after[0] for before, after in itertools.pairwise(blocks))


def test_outcomes_that_hours_do_not_tell_apart_are_read_few_times(
    hourly: DeltaTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 30)
    replayed = table(tmp_path / "replayed", ID_HOUR, [END, END + HOUR])
    assert len(blocks_between(hourly, replayed, START, END)) == 3
    old = table(tmp_path / "old", "observed_at", [START])
    assert blocks_between(hourly, old, START, END) == [(START, END)]
    assert blocks_between(hourly, None, START, END) == [(START, END)]
    assert blocks_between(None, None, START, END) == [(START, END)]


@pytest.mark.parametrize(
    ("last", "kept", "expected"),
    [
        (100, None, [0, 1, 2, 3, 4]),
        (2, None, [3, 4]),
        (2, [True, True, False, False, True], [1, 4]),
        (0, None, []),
    ],
)
def test_last_rows_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int, kept: list[bool] | None, expected: list[int]
) -> None:
    monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 2)
    file = RowFile(tmp_path / "source.parquet")
    for rows in ([0, 1], [], [2, 3, 4]):
        file.append(pa.table({"row": pa.array(rows, pa.int64())}))
    file.close()
    assert file.rows == 5
    target = tmp_path / "target.parquet"
    mask = None if kept is None else pa.chunked_array([kept[:1], kept[1:]])
    assert copy_last_rows(tmp_path / "source.parquet", target, last, mask) == len(expected)
    assert pq.read_table(target)["row"].to_pylist() == expected
    ends = first_and_last(target, "row")
    assert ends == ((expected[0], expected[-1]) if expected else None)


def test_no_rows_make_a_file_with_columns(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "source.parquet")
    file.append(pa.table({"row": pa.array([], pa.int64())}))
    file.close()
    assert copy_last_rows(tmp_path / "source.parquet", tmp_path / "target.parquet", 5) == 0
    assert pq.read_table(tmp_path / "target.parquet").schema.names == ["row"]
