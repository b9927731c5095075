"""Commits that the sink writes itself are those of delta-rs: its readers see the same, and of two writers one succeeds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from services.prediction_log.sink.table_log import TableLog
from services.prediction_log.sink.table_properties import Retention, table_properties
from shared.contracts.event_time import MAX_TIME, MIN_TIME
from shared.contracts.lake_schema import PARTITION, TIMESTAMP
from shared.errors import Conflict

START = datetime(2013, 1, 31, 23, 59, 59, 123456, tzinfo=UTC)
STATISTICS = ("event_time", "generation")
_RETENTION = Retention()
COLUMNS = pa.schema(
    [
        pa.field("event_time", TIMESTAMP, nullable=False),
        pa.field("generation", pa.int64()),
        pa.field("name", pa.string()),
        pa.field("scores", pa.list_(pa.float32())),
        pa.field("values", pa.map_(pa.string(), pa.float64())),
        pa.field(PARTITION, pa.string()),
    ]
)


def rows(count: int = 2, month: str = "2013-01", **more: Any) -> pa.Table:
    found: dict[str, Any] = {
        "event_time": pa.array([START + timedelta(seconds=row) for row in range(count)], TIMESTAMP),
        "generation": pa.array([None, *range(1, count)], pa.int64()),
        "name": pa.array([f"row {row}" for row in range(count)], pa.string()),
        PARTITION: pa.array([month] * count, pa.string()),
        **more,
    }
    return pa.table(found)


def create(location: str, retention: Retention = _RETENTION) -> TableLog:
    DeltaTable.create(
        location, COLUMNS, partition_by=[PARTITION], configuration=table_properties(retention, STATISTICS)
    )
    return TableLog(DeltaTable(location), STATISTICS, partitioned=True)


@pytest.fixture
def location(tmp_path: Path) -> str:
    return str(tmp_path / "table")


def append(log: TableLog, table: pa.Table, **marks: int) -> None:
    log.append(table, marks, after=log.version)


def read(location: str) -> pa.Table:
    return DeltaTable(location).to_pyarrow_table().sort_by("event_time")


def test_readers_see_rows_statistics_and_transactions_as_of_delta(location: str, tmp_path: Path) -> None:
    log, other = create(location), str(tmp_path / "other")
    create(other)
    more = {"scores": pa.array([[0.5, 1.0], None], pa.list_(pa.float32()))}
    append(log, rows(**more), a=7, b=1)
    write_deltalake(DeltaTable(other), rows(**more), mode="append", schema_mode="merge")
    assert read(location).to_pylist() == read(other).to_pylist()
    ours, theirs = (pa.table(DeltaTable(one).get_add_actions(flatten=True)) for one in (location, other))
    columns = [
        name for name in theirs.column_names if name not in ("path", "size_bytes", "modification_time")
    ]
    assert ours.select(columns).to_pylist() == theirs.select(columns).to_pylist()
    table = DeltaTable(location)
    assert (table.transaction_version("a"), table.transaction_version("b")) == (7, 1)
    assert (log.mark_of("a"), log.mark_of("c")) == (7, -1)
    assert table.history(1)[0]["operation"] == "WRITE"
    assert (
        table.to_pyarrow_dataset(file_pruning_predicate="event_time >= '2014-01-01T00:00:00Z'").count_rows()
        == 0
    )


def test_rows_of_several_months_are_files_of_their_own(location: str) -> None:
    log = create(location)
    append(log, pa.concat_tables([rows(), rows(month="2013-02"), rows(1, month="set-aside")]))
    files = pa.table(DeltaTable(location).get_add_actions(flatten=True))
    counts = dict(
        zip(files[f"partition.{PARTITION}"].to_pylist(), files["num_records"].to_pylist(), strict=True)
    )
    assert counts == {"2013-01": 2, "2013-02": 2, "set-aside": 1}
    assert read(location).num_rows == 5


def test_row_without_partition_is_kept_beside_those_of_several_months(location: str) -> None:
    log = create(location)
    without = rows(1).set_column(3, PARTITION, pa.nulls(1, pa.string()))
    append(log, pa.concat_tables([rows(), rows(month="2013-02"), without]), a=1)
    assert read(location).num_rows == 5
    assert DeltaTable(location).transaction_version("a") == 1


def test_time_that_no_statistics_can_hold_is_stored(location: str) -> None:
    log = create(location)
    append(log, rows(event_time=pa.array([0, MAX_TIME + 1]).cast(TIMESTAMP)), a=1)
    append(log, rows(event_time=pa.array([MIN_TIME, MAX_TIME]).cast(TIMESTAMP)), a=2)
    table = DeltaTable(location)
    assert (table.to_pyarrow_dataset().count_rows(), table.transaction_version("a")) == (4, 2)
    files = pa.table(table.get_add_actions(flatten=True))
    assert files["max.event_time"].null_count == 1


def test_second_commit_after_a_version_is_refused(location: str) -> None:
    log = create(location)
    zombie = TableLog(DeltaTable(location), STATISTICS, partitioned=True)
    append(log, rows(), a=1)
    with pytest.raises(Conflict):
        append(zombie, rows(), a=1)
    assert read(location).num_rows == 2
    assert zombie.refresh()
    assert zombie.mark_of("a") == 1
    append(zombie, rows(), a=2)
    assert not zombie.refresh(), "its own commits are no news"
    assert log.refresh()
    assert (log.mark_of("a"), read(location).num_rows) == (2, 4)


def test_what_was_prepared_for_another_version_is_refused(location: str) -> None:
    log = create(location)
    before = log.version
    append(log, rows())
    with pytest.raises(Conflict):
        log.append(rows(), {}, after=before)


def test_zombie_of_a_cleaned_log_is_refused(location: str) -> None:
    """Entry N + 1 was deleted with those before it: it can be put again, and no version has it."""
    log = create(location)
    zombie = TableLog(DeltaTable(location), STATISTICS, partitioned=True)
    for _ in range(3):
        append(log, rows())
    DeltaTable(location).create_checkpoint()
    for version in range(3):
        (Path(location) / "_delta_log" / f"{version:020}.json").unlink()
    with pytest.raises(Conflict):
        append(zombie, rows(), a=1)
    assert read(location).num_rows == 6
    assert zombie.refresh()
    assert zombie.mark_of("a") == -1


def test_new_columns_are_added_by_delta(location: str) -> None:
    log = create(location)
    append(log, rows(), a=1)
    append(log, rows(f_age=pa.array([1.0, 2.0])), a=2)
    append(log, rows(1), a=3)
    assert read(location)["f_age"].to_pylist().count(None) == 3
    assert log.schema.field("f_age").type == pa.float64()
    assert DeltaTable(location).transaction_version("a") == 3


def test_new_column_after_another_commit_is_refused(location: str) -> None:
    log = create(location)
    append(TableLog(DeltaTable(location), STATISTICS, partitioned=True), rows())
    with pytest.raises(Conflict):
        append(log, rows(f_age=pa.array([1.0, 2.0])))
    assert read(location).num_rows == 2


def test_commit_by_delta_does_not_come_after_one_that_was_not_read(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another sink commits between the look at the log and the commit."""
    log, write = create(location), write_deltalake

    def late(*arguments: Any, **options: Any) -> None:
        append(TableLog(DeltaTable(location), STATISTICS, partitioned=True), rows(1), b=5)
        write(*arguments, **options)

    assert log.mark_of("b") == -1
    monkeypatch.setattr("services.prediction_log.sink.table_log.write_deltalake", late)
    with pytest.raises(Conflict):
        append(log, rows(f_age=pa.array([1.0, 2.0])), a=1)
    monkeypatch.undo()
    assert read(location).num_rows == 1
    assert log.refresh()
    assert (log.mark_of("a"), log.mark_of("b")) == (-1, 5)


def test_folder_may_have_a_space_and_letters(tmp_path: Path) -> None:
    location = str(tmp_path / "the läke of models")
    append(create(location), rows())
    assert read(location).num_rows == 2


def test_log_is_checkpointed_and_cleaned(location: str) -> None:
    log = create(location, Retention(log=timedelta(0)))
    for number in range(120):
        append(log, rows(), a=number)
    entries = list((Path(location) / "_delta_log").iterdir())
    assert len([one for one in entries if one.suffix == ".json"]) < 60
    assert [one for one in entries if one.name.endswith(".checkpoint.parquet")]
    table = DeltaTable(location)
    assert (table.count(), table.transaction_version("a")) == (240, 119)
