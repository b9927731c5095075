"""What drift, retraining and the command line read: exact rows, in order, each prediction with its latest outcome."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from shared.contracts.lake_schema import (
    OUTCOME_COLUMNS,
    PARTITION,
    PREDICTION_COLUMNS,
    TIMESTAMP,
    partition_of,
)
from shared.errors import DependencyUnavailable, NotFound
from shared.stores.lake import Answered, Lake, Snapshot

START = datetime(2013, 1, 30, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def write(location: str, rows: list[dict[str, object]], schema: pa.Schema, time_column: str) -> None:
    for row in rows:
        row[PARTITION] = partition_of(row[time_column])  # type: ignore[arg-type]
    fields = [*schema, pa.field(PARTITION, pa.string())]
    extra = sorted({name for row in rows for name in row} - {field.name for field in fields})
    fields += [pa.field(name, pa.float64()) for name in extra]
    write_deltalake(
        location,
        pa.Table.from_pylist(rows, schema=pa.schema(fields)),
        mode="append",
        schema_mode="merge",
        partition_by=[PARTITION],
    )


def predict(lake: Lake, hours: Sequence[float], *, model: str = "flights", **features: float) -> None:
    """Predictions named by their hour: the one at 25 hours is `p25`."""
    rows: list[dict[str, object]] = [
        {
            "prediction_id": f"p{hour:g}", "version": "v", "generation": 1, "event_time": at(hour), "answered_at": at(hour),
            "writer": "w", "epoch": 1, "sequence": int(hour), "score": hour / 100, "traceparent": "",
            **{f"f_{name}": value for name, value in features.items()},
        }
        for hour in hours
    ]  # fmt: skip
    write(lake.predictions(model), rows, PREDICTION_COLUMNS, "event_time")


def observe(
    lake: Lake, hour: float, value: float, *, observed: float, received: float, sequence: int = 0
) -> None:
    row: dict[str, object] = {
        "prediction_id": f"p{hour:g}", "value": value, "observed_at": at(observed), "received_at": at(received),
        "writer": "w", "epoch": 1, "sequence": sequence, "traceparent": "",
    }  # fmt: skip
    write(lake.outcomes("flights"), [row], OUTCOME_COLUMNS, "observed_at")


def ids(table: pa.Table) -> list[str]:
    found: list[str] = table["prediction_id"].to_pylist()
    return found


def test_a_stretch_is_from_start_up_to_but_not_including_end_in_order_of_time(lake: Lake) -> None:
    predict(lake, [47, 12, 24])
    predict(lake, [0, 23, 48])
    assert ids(lake.read_predictions("flights", at(12), at(48))) == ["p12", "p23", "p24", "p47"]


def test_a_stretch_across_months_reads_both(lake: Lake) -> None:
    predict(lake, [0, 47, 49, 24 * 40])
    assert ids(lake.read_predictions("flights", at(0), at(24 * 60))) == ["p0", "p47", "p49", "p960"]
    assert ids(lake.read_predictions("flights", at(49), at(50))) == ["p49"]


def test_only_files_that_may_hold_the_rows_are_opened(lake: Lake, tmp_path: Path) -> None:
    predict(lake, [0, 24 * 40])
    [march] = (tmp_path / "lake" / "predictions" / "flights" / "month=2013-03").iterdir()
    march.write_bytes(b"not a parquet file")
    assert ids(lake.read_predictions("flights", at(0), at(24))) == ["p0"]


def test_columns_are_what_was_asked_for_and_a_feature_never_seen_is_all_missing(lake: Lake) -> None:
    predict(lake, [0], distance=1.5)
    table = lake.read_predictions("flights", at(0), at(1), ["score", "f_distance", "f_new"])
    assert table.column_names == ["score", "f_distance", "f_new"]
    assert table["f_distance"].to_pylist() == [1.5]
    assert table["f_new"].to_pylist() == [None]
    assert PARTITION not in lake.read_predictions("flights", at(0), at(1)).column_names


def test_a_column_that_cannot_be_is_named(lake: Lake) -> None:
    predict(lake, [0])
    with pytest.raises(NotFound, match="no column scores; it has prediction_id"):
        lake.read_predictions("flights", at(0), at(1), ["scores"])


def test_a_model_nobody_asked_yet_has_no_rows_and_the_right_columns(lake: Lake) -> None:
    assert lake.read_predictions("flights", at(0), at(1)).schema == PREDICTION_COLUMNS
    assert lake.read_outcomes("flights", at(0), at(1)).schema == OUTCOME_COLUMNS
    joined = lake.read_joined("flights", at(0), at(1), columns=["score", "f_distance"])
    assert joined.column_names == ["prediction_id", "score", "f_distance", "outcome", "observed_at"]
    assert (lake.watermark("flights"), lake.last_commit("flights")) == (None, None)
    assert lake.snapshot("flights") == Snapshot(None, None)
    assert lake.find_prediction("p0") is None


@pytest.mark.parametrize("start", [datetime.min, datetime(1, 1, 1, 12), datetime(1, 1, 2)])
def test_a_stretch_may_reach_the_ends_of_the_calendar(lake: Lake, start: datetime) -> None:
    predict(lake, [1, 2])
    observe(lake, 2, 1.0, observed=3, received=3)
    rows = lake.read_joined("flights", start.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    assert rows["outcome"].to_pylist() == [None, 1.0]


@pytest.mark.parametrize(
    ("moment", "partition"),
    [(datetime(1, 2, 3, tzinfo=UTC), "0001-02"), (datetime(2026, 11, 21, tzinfo=UTC), "2026-11")],
)
def test_partitions_sort_as_time_does_and_are_those_the_sink_writes(moment: datetime, partition: str) -> None:
    assert partition_of(moment) == partition
    assert pc.strftime(pa.scalar(moment, TIMESTAMP), "%Y-%m").as_py() == partition


def test_a_join_has_every_prediction_once_with_or_without_outcome(lake: Lake) -> None:
    predict(lake, [0, 1, 2])
    observe(lake, 1, 1.0, observed=5, received=5)
    joined = lake.read_joined("flights", at(0), at(3))
    assert ids(joined) == ["p0", "p1", "p2"]
    assert joined["outcome"].to_pylist() == [None, 1.0, None]
    assert joined["observed_at"].to_pylist() == [None, at(5), None]
    assert ids(lake.read_joined("flights", at(0), at(3), with_outcome=True)) == ["p1"]


def test_of_several_outcomes_the_last_received_counts_whatever_the_order_in_the_lake(lake: Lake) -> None:
    predict(lake, [0])
    observe(lake, 0, 1.0, observed=2, received=30, sequence=7)
    observe(lake, 0, 0.0, observed=3, received=10, sequence=9)
    assert lake.read_joined("flights", at(0), at(1))["outcome"].to_pylist() == [1.0]
    observe(lake, 0, 0.5, observed=2, received=30, sequence=8)
    assert lake.read_joined("flights", at(0), at(1))["outcome"].to_pylist() == [0.5]
    assert lake.read_outcomes("flights", at(0), at(100))["value"].to_pylist() == [0.0, 1.0, 0.5]


def test_as_if_asked_then_only_what_was_observed_by_then_counts(lake: Lake) -> None:
    predict(lake, [0, 1])
    observe(lake, 0, 1.0, observed=4, received=400)
    observe(lake, 1, 1.0, observed=6, received=400)
    assert lake.read_joined("flights", at(0), at(2), at(3))["outcome"].to_pylist() == [None, None]
    assert lake.read_joined("flights", at(0), at(2), at(4))["outcome"].to_pylist() == [1.0, None]
    assert lake.read_joined("flights", at(0), at(2), at(900))["outcome"].to_pylist() == [1.0, 1.0]


def test_an_outcome_may_arrive_in_a_later_month(lake: Lake) -> None:
    predict(lake, [0])
    observe(lake, 0, 1.0, observed=24 * 90, received=24 * 90)
    assert lake.read_joined("flights", at(0), at(1))["outcome"].to_pylist() == [1.0]


def test_a_snapshot_reads_the_same_rows_whatever_came_since(lake: Lake) -> None:
    predict(lake, [0])
    observe(lake, 0, 0.0, observed=1, received=1)
    frozen = lake.snapshot("flights")
    predict(lake, [0.5])
    observe(lake, 0, 1.0, observed=2, received=2)
    DeltaTable(lake.predictions("flights")).optimize.compact()
    then = lake.read_joined("flights", at(0), at(1), snapshot=frozen)
    assert (ids(then), then["outcome"].to_pylist()) == (["p0"], [0.0])
    assert ids(lake.read_predictions("flights", at(0), at(1), table_version=frozen.predictions)) == ["p0"]
    assert ids(lake.read_predictions("flights", at(0), at(1))) == ["p0", "p0.5"]


def test_a_version_that_is_gone_is_named(lake: Lake) -> None:
    predict(lake, [0])
    with pytest.raises(NotFound, match="version 99 of the table .* no longer exists"):
        lake.read_predictions("flights", at(0), at(1), table_version=99)


def test_the_watermark_is_the_latest_event_time_to_the_microsecond(lake: Lake) -> None:
    predict(lake, [0, 24 * 40])
    predict(lake, [5])
    late = at(24 * 40) + timedelta(microseconds=123)
    row = lake.read_predictions("flights", at(0), at(1)).to_pylist()[0]
    write(
        lake.predictions("flights"),
        [{**row, "prediction_id": "late", "event_time": late}],
        PREDICTION_COLUMNS,
        "event_time",
    )
    assert lake.watermark("flights") == late


def test_a_prediction_is_found_with_its_model_and_outcome(lake: Lake) -> None:
    predict(lake, [0], model="taxis")
    predict(lake, [1, 2], distance=7.0)
    observe(lake, 1, 1.0, observed=2, received=2)
    observe(lake, 1, 0.0, observed=3, received=3)
    found = lake.find_prediction("p1")
    assert found is not None
    assert (found["model"], found["f_distance"], found["outcome"], found["observed_at"]) == (
        "flights",
        7.0,
        0.0,
        at(3),
    )
    assert lake.find_prediction("p0", "flights") is None
    unknown = lake.find_prediction("p0")
    assert unknown is not None
    assert (unknown["model"], unknown["outcome"]) == ("taxis", None)


def test_what_a_version_answered_is_counted_with_its_first_and_last_event(lake: Lake) -> None:
    assert lake.answered_by("flights", "v") == Answered(0, None, None)
    predict(lake, [3, 1, 24 * 40])
    predict(lake, [0], model="taxis")
    row = lake.read_predictions("flights", at(3), at(4)).to_pylist()[0]
    other = {**row, "prediction_id": "other", "version": "w", "event_time": at(24 * 80)}
    write(lake.predictions("flights"), [other], PREDICTION_COLUMNS, "event_time")
    assert lake.answered_by("flights", "v") == Answered(3, at(1), at(24 * 40))
    assert lake.answered_by("flights", "w") == Answered(1, at(24 * 80), at(24 * 80))
    assert lake.answered_by("flights", "x") == Answered(0, None, None)


def test_a_lake_in_a_url_lists_its_models(lake: Lake, tmp_path: Path) -> None:
    predict(lake, [0], model="taxis")
    predict(lake, [0])
    assert Lake((tmp_path / "lake").as_uri()).models() == ["flights", "taxis"]


def test_rows_are_counted_without_reading_them(lake: Lake) -> None:
    assert lake.count_predictions("flights") == 0
    predict(lake, [1, 2])
    predict(lake, [3])
    assert lake.count_predictions("flights") == 3


def test_observed_predictions_count_once_and_only_later_ones(lake: Lake) -> None:
    assert lake.count_observed("flights", None) == 0
    observe(lake, 1, 1.0, observed=3, received=3)
    observe(lake, 1, 0.0, observed=4, received=4)
    observe(lake, 2, 0.0, observed=5, received=5)
    assert lake.count_observed("flights", None) == 2
    assert lake.count_observed("flights", at(3)) == 2
    assert lake.count_observed("flights", at(4)) == 1
    assert lake.count_observed("flights", at(5)) == 0


def test_event_times_come_with_their_generation(lake: Lake) -> None:
    assert lake.read_event_times("flights").column_names == ["generation", "event_time"]
    assert lake.read_event_times("flights").num_rows == 0
    predict(lake, [1, 2])
    assert sorted(lake.read_event_times("flights")["event_time"].to_pylist()) == [at(1), at(2)]


def test_last_commit_is_now(lake: Lake) -> None:
    predict(lake, [1])
    committed = lake.last_commit("flights")
    assert committed is not None
    assert abs((datetime.now(UTC) - committed).total_seconds()) < 60


def test_broken_table_raises_dependency_unavailable(lake: Lake) -> None:
    predict(lake, [1])
    for file in (Path(lake.root) / "predictions" / "flights").rglob("*.parquet"):
        file.unlink()
    with pytest.raises(DependencyUnavailable, match="the lake cannot be read"):
        lake.read_event_times("flights")
    for entry in (Path(lake.root) / "predictions" / "flights" / "_delta_log").iterdir():
        entry.write_text("{")
    with pytest.raises(DependencyUnavailable, match="the lake cannot be read"):
        lake.snapshot("flights")
