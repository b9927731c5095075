"""Hours are read from ids, and bound what of the lake is read for an id or a window: files of other hours are broken here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from shared.contracts.lake_schema import (
    ID_HOUR,
    OUTCOME_COLUMNS,
    PARTITION,
    PREDICTION_COLUMNS,
    TIMESTAMP,
    partition_of,
)
from shared.contracts.prediction_id import PredictionIds
from shared.stores.lake import Lake
from shared.stores.prediction_lookup import find_prediction
from shared.stores.tables.id_hours import IdHours, hours_of, id_hours, with_id_hours

START = datetime(2013, 1, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OLD = "99r5sve2n2deavr0b002ios6kve0g4g1"


def made_at(time: datetime) -> str:
    return PredictionIds(b"k" * 32, time.timestamp).make("flights")


def column(*ids: str) -> pa.ChunkedArray:
    return pa.chunked_array([list(ids)], pa.string())


def predict(lake: Lake, time: datetime, *, answered: timedelta = timedelta(0), name: str = "") -> str:
    """A commit with one prediction, its id made at `time`."""
    name = name or made_at(time)
    row = {
        "prediction_id": name, "version": "v", "generation": 1, "event_time": time, "answered_at": time + answered,
        "writer": "w", "epoch": 1, "sequence": 0, "score": 0.5, "traceparent": "", PARTITION: partition_of(time),
    }  # fmt: skip
    _write(lake.predictions("flights"), pa.Table.from_pylist([row], _partitioned(PREDICTION_COLUMNS)))
    return name


def observe(lake: Lake, name: str, value: float, at: datetime, *, by_old_sink: bool = False) -> None:
    """A commit with one outcome."""
    row = {
        "prediction_id": name, "value": value, "observed_at": at, "received_at": at, "writer": "w", "epoch": 1, "sequence": 0,
        "traceparent": "", PARTITION: partition_of(at),
    }  # fmt: skip
    rows = pa.Table.from_pylist([row], _partitioned(OUTCOME_COLUMNS))
    _write(lake.outcomes("flights"), rows if by_old_sink else with_id_hours(rows))


def break_files(location: str, *, but: int) -> None:
    """Make every data file unreadable, except that of commit `but` (counted from 0)."""
    kept = set(DeltaTable(location, version=but).file_uris())
    if but:
        kept -= set(DeltaTable(location, version=but - 1).file_uris())
    for path in Path(location).rglob("*.parquet"):
        if not any(path.name in uri for uri in kept) and "_delta_log" not in path.parts:
            path.write_bytes(b"not a parquet file")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_hour_is_that_of_the_clock() -> None:
    late = START + 5 * HOUR + timedelta(minutes=59)
    found = hours_of(column(made_at(START), made_at(late)))
    assert found == IdHours(START, START + 5 * HOUR)


def test_ids_without_hour_have_none() -> None:
    assert id_hours(column(OLD, "p25", "", made_at(START))).to_pylist() == [None, None, None, START]
    assert hours_of(column(OLD, made_at(START))) is None
    assert hours_of(column()) is None


def test_outcomes_get_the_hour_of_their_prediction() -> None:
    rows = with_id_hours(pa.table({"prediction_id": [made_at(START + HOUR), OLD]}))
    assert rows[ID_HOUR].to_pylist() == [START + HOUR, None]
    assert rows.schema.field(ID_HOUR).type == TIMESTAMP


def test_window_finds_its_outcomes_whenever_they_were_observed(lake: Lake) -> None:
    name = predict(lake, START)
    other = predict(lake, START + 40 * DAY)
    observe(lake, name, 0.0, START + HOUR)
    observe(lake, other, 0.0, START + 41 * DAY)
    observe(lake, name, 1.0, START + 300 * DAY)
    rows = lake.read_joined("flights", START, START + DAY)
    assert rows["outcome"].to_pylist() == [1.0]
    assert rows["observed_at"].to_pylist() == [START + 300 * DAY]


def test_window_opens_no_file_with_outcomes_of_other_hours(lake: Lake) -> None:
    name = predict(lake, START)
    for day in range(2, 6):
        observe(lake, predict(lake, START + day * DAY), 0.0, START + day * DAY + HOUR)
    observe(lake, name, 1.0, START + 7 * DAY)
    break_files(lake.outcomes("flights"), but=4)
    assert lake.read_joined("flights", START, START + DAY)["outcome"].to_pylist() == [1.0]


def test_outcomes_without_hour_are_found_beside_others(lake: Lake) -> None:
    """A sink of an earlier release wrote them, or the prediction's id has none."""
    name, old = predict(lake, START), predict(lake, START, name=OLD)
    observe(lake, name, 1.0, START + HOUR, by_old_sink=True)
    observe(lake, old, 1.0, START + HOUR)
    observe(lake, predict(lake, START + 9 * DAY), 0.0, START + 10 * DAY)
    rows = lake.read_joined("flights", START, START + DAY)
    assert rows["outcome"].to_pylist() == [1.0, 1.0]
    assert [find_prediction(lake, one)["outcome"] for one in (name, old)] == [1.0, 1.0]  # type: ignore[index]


def test_prediction_is_found_without_opening_files_of_other_hours(lake: Lake) -> None:
    for day in range(4):
        observe(lake, predict(lake, START + day * DAY), 0.0, START + day * DAY + HOUR)
    wanted = predict(lake, START + 9 * DAY)
    observe(lake, wanted, 0.7, START + 90 * DAY)
    for location in (lake.predictions("flights"), lake.outcomes("flights")):
        break_files(location, but=4)
    found = find_prediction(lake, wanted, "flights")
    assert found is not None
    assert found["outcome"] == 0.7


def test_prediction_that_was_answered_much_later_is_found(lake: Lake) -> None:
    name = predict(lake, START, answered=3 * DAY)
    assert find_prediction(lake, name, "flights") is not None


def _partitioned(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field(PARTITION, pa.string()))


def _write(location: str, rows: pa.Table) -> None:
    statistics = {"delta.dataSkippingStatsColumns": f"event_time,answered_at,observed_at,{ID_HOUR}"}
    write_deltalake(
        location, rows, mode="append", schema_mode="merge", partition_by=[PARTITION], configuration=statistics
    )
