"""A snapshot made again from the newest version of the lake: the same bytes, whatever was stored or compacted since then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from services.retraining.runs.data_snapshot import snapshot_marks, take_snapshot
from services.retraining.runs.workspace import RunFolder
from services.retraining.snapshots.pin import Pin, pin_lake
from shared.contracts.lake_schema import OUTCOME_COLUMNS, TIMESTAMP, partition_of
from shared.contracts.loop_spec import LoopSpec
from shared.errors import NotFound
from shared.stores.as_of.marked_lake import MarkedLake
from shared.stores.as_of.stream_marks import StreamMarks
from shared.stores.lake import Lake
from tests.fakes.retraining_installation import MODEL, START, fill_lake, loop_with

NOW = datetime(2013, 3, 1, tzinfo=UTC)
DAYS = 10


def folder_of(home: Path, name: str) -> RunFolder:
    folder = RunFolder(home / "runs" / name)
    folder.root.mkdir(parents=True)
    return folder


def correct_outcomes(lake: Lake, rows: range, *, writer: str, first: int) -> None:
    """Later outcomes of these rows, with the opposite value; `first`: the number of the first one in its stream."""
    received = NOW
    table = DeltaTable(lake.outcomes(MODEL)).to_pyarrow_table()
    ids = [f"p7-{row:06d}" for row in rows]
    mine = table.filter(pc.is_in(table["prediction_id"], value_set=pa.array(ids))).sort_by("prediction_id")
    columns = {
        "prediction_id": mine["prediction_id"],
        "value": pc.subtract(1.0, mine["value"]),
        "observed_at": mine["observed_at"],
        "received_at": pa.repeat(pa.scalar(received, TIMESTAMP), len(rows)),
        "writer": pa.repeat(writer, len(rows)),
        "epoch": pa.repeat(pa.scalar(1, pa.int64()), len(rows)),
        "sequence": pa.array(range(first, first + len(rows)), pa.int64()),
        "traceparent": pa.nulls(len(rows), pa.string()),
    }
    months = [partition_of(one) for one in mine["observed_at"].to_pylist()]
    added = pa.table([columns[name] for name in OUTCOME_COLUMNS.names], schema=OUTCOME_COLUMNS)
    write_deltalake(lake.outcomes(MODEL), added.append_column("month", pa.array(months)), mode="append")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Ten days, stored in two commits; the outcomes of some rows are corrected already."""
    lake = Lake(str(tmp_path / "lake"))
    fill_lake(lake, START, DAYS, 4, 7)
    correct_outcomes(lake, range(20), writer="early", first=0)
    return lake


def spec() -> LoopSpec:
    return LoopSpec.model_validate(loop_with())


def pinned(lake: Lake) -> tuple[Pin, StreamMarks]:
    pin = pin_lake(lake, MODEL, (), NOW)
    assert pin is not None
    return pin, snapshot_marks(lake, spec(), pin)


def age(lake: Lake) -> None:
    """What happens to a lake after a run: late rows and outcomes, corrections, compaction, deletion of old files."""
    fill_lake(lake, START, DAYS, 2, 8, writer="late")
    correct_outcomes(lake, range(100, 300), writer="w", first=100_000)
    correct_outcomes(lake, range(400, 500), writer="new", first=0)
    for location in (lake.predictions(MODEL), lake.outcomes(MODEL)):
        table = DeltaTable(location)
        table.optimize.compact()
        table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


def test_snapshot_is_the_same_after_vacuum_and_compaction(lake: Lake, tmp_path: Path) -> None:
    pin, marks = pinned(lake)
    first = take_snapshot(lake, spec(), pin, None, folder_of(tmp_path, "first"))
    age(lake)
    fresh = Lake(lake.root)  # without the handles of the versions that are gone
    with pytest.raises(Exception, match="."):
        take_snapshot(fresh, spec(), pin, None, folder_of(tmp_path, "pinned"))
    again = take_snapshot(
        MarkedLake(lake.root, marks=StreamMarks.of_json(marks.to_json())),
        spec(),
        pin,
        None,
        folder_of(tmp_path, "again"),
    )
    assert again == first
    newest = take_snapshot(
        MarkedLake(lake.root, marks=pinned(fresh)[1]), spec(), pin, None, folder_of(tmp_path, "newest")
    )
    assert newest.digest != first.digest, "later rows do change a snapshot"


def test_window_since_a_change_is_the_same_too(lake: Lake, tmp_path: Path) -> None:
    changed = LoopSpec.model_validate(
        loop_with(
            retraining={
                "command": ["python", "train.py"],
                "minimum_rows": 50,
                "window": {"use": "since_change", "minimum_rows": 60},
            }
        )
    )
    pin, marks = pinned(lake)
    since = START + timedelta(days=3)
    first = take_snapshot(lake, changed, pin, since, folder_of(tmp_path, "first"))
    age(lake)
    again = take_snapshot(
        MarkedLake(lake.root, marks=marks), changed, pin, since, folder_of(tmp_path, "again")
    )
    assert again == first


def test_lake_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="has no rows any more"):
        MarkedLake(str(tmp_path)).open_at(str(tmp_path / "predictions" / MODEL), 3)
