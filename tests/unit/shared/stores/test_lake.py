"""Table locations, empty tables, and which of several outcomes counts. Time ranges and joins: test_lake_scan.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from shared.contracts.lake_schema import (
    OUTCOME_COLUMNS,
    PARTITION,
    PREDICTION_COLUMNS,
    feature_column,
    partition_of,
)
from shared.stores.lake import Lake, LakeSnapshot
from shared.stores.prediction_lookup import find_prediction

# The last hour of a month: stretches below cross a partition.
START = datetime(2013, 1, 31, 23, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def predict(
    lake: Lake, *rows: tuple[str, int], sequence: int = 0, writer: str = "w", micros: int = 0
) -> None:
    """Append predictions, each an id and its minute (and `micros`) after START; the score is a tenth of the minute."""
    write(lake.predictions("flights"), PREDICTION_COLUMNS.append(pa.field("f_distance", pa.float32())), [
        {
            "prediction_id": name,
            "version": "v",
            "generation": 1,
            "event_time": START + minute * MINUTE + timedelta(microseconds=micros),
            "answered_at": START + minute * MINUTE,
            "writer": writer,
            "epoch": 1,
            "sequence": sequence + place,
            "score": minute / 10,
            "f_distance": float(minute),
            PARTITION: partition_of(START + minute * MINUTE),
        }
        for place, (name, minute) in enumerate(rows)
    ])  # fmt: skip


def observe(lake: Lake, *outcomes: tuple[str, float, int, int], epoch: int = 1) -> None:
    """Append outcomes: an id, a value, and the minutes after START it was observed and received."""
    write(lake.outcomes("flights"), OUTCOME_COLUMNS, [
        {
            "prediction_id": name,
            "value": value,
            "observed_at": START + observed * MINUTE,
            "received_at": START + received * MINUTE,
            "writer": "w",
            "epoch": epoch,
            "sequence": place,
            PARTITION: partition_of(START + observed * MINUTE),
        }
        for place, (name, value, observed, received) in enumerate(outcomes)
    ])  # fmt: skip


def write(location: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows, schema=schema.append(pa.field(PARTITION, pa.string())))
    write_deltalake(location, table, mode="append", partition_by=[PARTITION])


def joined(lake: Lake, **options: Any) -> dict[str, float | None]:
    rows = lake.read_joined("flights", START, START + 2 * DAY, **options).to_pylist()
    return {row["prediction_id"]: row["outcome"] for row in rows}


@pytest.mark.parametrize("root", ["/data/lake", "/data/lake/", "s3://bucket/lake/"])
def test_every_table_lies_below_the_root(root: str) -> None:
    lake, base = Lake(root), root.rstrip("/")
    assert lake.predictions("flights") == f"{base}/predictions/flights"
    assert lake.outcomes("flights") == f"{base}/outcomes/flights"
    assert lake.dead_letters() == f"{base}/dead_letters"


def test_feature_cannot_shadow_a_column() -> None:
    assert feature_column("score") == "f_score"
    assert not any(name.startswith("f_") for name in (*PREDICTION_COLUMNS.names, PARTITION))


def test_lake_without_tables_is_empty(lake: Lake) -> None:
    assert lake.models() == []
    assert lake.open(lake.predictions("flights")) is None
    assert lake.snapshot("flights") == LakeSnapshot(None, None)
    assert lake.watermark("flights") is None
    assert find_prediction(lake, "a") is None
    assert lake.read_predictions("flights", START, START + DAY).num_rows == 0
    assert lake.read_outcomes("flights", START, START + DAY).num_rows == 0
    assert lake.read_joined("flights", START, START + DAY, columns=["f_distance"]).column_names == [
        "prediction_id",
        "f_distance",
        "outcome",
        "observed_at",
    ]
    assert not Path(lake.root).exists()


def test_of_outcomes_received_at_the_same_time_the_later_written_counts(lake: Lake) -> None:
    predict(lake, ("a", 0), ("b", 1))
    observe(lake, ("b", 1.0, 60, 60), epoch=2)
    observe(lake, ("a", 0.0, 60, 60), ("a", 1.0, 60, 60), ("b", 0.0, 60, 60))
    assert joined(lake) == {"a": 1.0, "b": 1.0}
    found = find_prediction(lake, "b")
    assert found is not None
    assert found["outcome"] == 1.0


def test_outcomes_come_in_order_of_arrival_repeats_included(lake: Lake) -> None:
    observe(lake, ("a", 1.0, 10, 30), ("b", 0.0, 20, 20), ("a", 1.0, 10, 40))
    rows = lake.read_outcomes("flights", START, START + DAY)
    assert rows["prediction_id"].to_pylist() == ["b", "a", "a"]


def test_models_are_those_with_predictions(lake: Lake) -> None:
    observe(lake, ("a", 1.0, 0, 0))
    assert lake.models() == []
    predict(lake, ("a", 0))
    assert lake.models() == ["flights"]
