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
    OUTCOME_OPTIONAL_COLUMNS,
    PARTITION,
    PREDICTION_COLUMNS,
    PREDICTION_OPTIONAL_COLUMNS,
    TIMESTAMP,
    partition_of,
)
from shared.errors import DependencyUnavailable, NotFound
from shared.stores.lake import AnsweredGeneration, Lake, LakeSnapshot
from shared.stores.lake_statistics import count_observed, count_predictions, last_commit
from shared.stores.prediction_lookup import Answered, answered_by, find_prediction

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


def test_time_range_is_half_open_and_sorted(lake: Lake) -> None:
    predict(lake, [47, 12, 24])
    predict(lake, [0, 23, 48])
    assert ids(lake.read_predictions("flights", at(12), at(48))) == ["p12", "p23", "p24", "p47"]


def test_time_range_across_months_reads_both(lake: Lake) -> None:
    predict(lake, [0, 47, 49, 24 * 40])
    assert ids(lake.read_predictions("flights", at(0), at(24 * 60))) == ["p0", "p47", "p49", "p960"]
    assert ids(lake.read_predictions("flights", at(49), at(50))) == ["p49"]


def test_files_outside_the_time_range_are_not_opened(lake: Lake, tmp_path: Path) -> None:
    predict(lake, [0, 24 * 40])
    [march] = (tmp_path / "lake" / "predictions" / "flights" / "month=2013-03").iterdir()
    march.write_bytes(b"not a parquet file")
    assert ids(lake.read_predictions("flights", at(0), at(24))) == ["p0"]


def test_requested_columns_and_null_for_an_unknown_feature(lake: Lake) -> None:
    predict(lake, [0], distance=1.5)
    table = lake.read_predictions("flights", at(0), at(1), ["score", "f_distance", "f_new"])
    assert table.column_names == ["score", "f_distance", "f_new"]
    assert table["f_distance"].to_pylist() == [1.5]
    assert table["f_new"].to_pylist() == [None]
    assert PARTITION not in lake.read_predictions("flights", at(0), at(1)).column_names


def test_unknown_column_is_named(lake: Lake) -> None:
    predict(lake, [0])
    with pytest.raises(NotFound, match="no column loss; it has prediction_id"):
        lake.read_predictions("flights", at(0), at(1), ["loss"])


def test_model_without_tables_has_no_rows_and_all_columns(lake: Lake) -> None:
    assert lake.read_predictions("flights", at(0), at(1)).schema == PREDICTION_COLUMNS
    assert lake.read_outcomes("flights", at(0), at(1)).schema == OUTCOME_COLUMNS
    joined = lake.read_joined("flights", at(0), at(1), columns=["score", "f_distance"])
    assert joined.column_names == ["prediction_id", "score", "f_distance", "outcome", "observed_at"]
    assert (lake.watermark("flights"), last_commit(lake, "flights")) == (None, None)
    assert lake.snapshot("flights") == LakeSnapshot(None, None)
    assert find_prediction(lake, "p0") is None


@pytest.mark.parametrize("start", [datetime.min, datetime(1, 1, 1, 12), datetime(1, 1, 2)])
def test_time_range_may_span_years_1_to_9999(lake: Lake, start: datetime) -> None:
    predict(lake, [1, 2])
    observe(lake, 2, 1.0, observed=3, received=3)
    rows = lake.read_joined("flights", start.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    assert rows["outcome"].to_pylist() == [None, 1.0]


@pytest.mark.parametrize(
    ("moment", "partition"),
    [(datetime(1, 2, 3, tzinfo=UTC), "0001-02"), (datetime(2026, 11, 21, tzinfo=UTC), "2026-11")],
)
def test_partition_names_sort_by_time_and_match_the_sink(moment: datetime, partition: str) -> None:
    assert partition_of(moment) == partition
    assert pc.strftime(pa.scalar(moment, TIMESTAMP), "%Y-%m").as_py() == partition


def test_join_has_every_prediction_once(lake: Lake) -> None:
    predict(lake, [0, 1, 2])
    observe(lake, 1, 1.0, observed=5, received=5)
    joined = lake.read_joined("flights", at(0), at(3))
    assert ids(joined) == ["p0", "p1", "p2"]
    assert joined["outcome"].to_pylist() == [None, 1.0, None]
    assert joined["observed_at"].to_pylist() == [None, at(5), None]
    assert ids(lake.read_joined("flights", at(0), at(3), with_outcome=True)) == ["p1"]


def test_last_received_outcome_counts(lake: Lake) -> None:
    predict(lake, [0])
    observe(lake, 0, 1.0, observed=2, received=30, sequence=7)
    observe(lake, 0, 0.0, observed=3, received=10, sequence=9)
    assert lake.read_joined("flights", at(0), at(1))["outcome"].to_pylist() == [1.0]
    observe(lake, 0, 0.5, observed=2, received=30, sequence=8)
    assert lake.read_joined("flights", at(0), at(1))["outcome"].to_pylist() == [0.5]
    assert lake.read_outcomes("flights", at(0), at(100))["value"].to_pylist() == [0.0, 1.0, 0.5]


def test_known_until_excludes_later_outcomes(lake: Lake) -> None:
    predict(lake, [0, 1])
    observe(lake, 0, 1.0, observed=4, received=400)
    observe(lake, 1, 1.0, observed=6, received=400)
    assert lake.read_joined("flights", at(0), at(2), at(3))["outcome"].to_pylist() == [None, None]
    assert lake.read_joined("flights", at(0), at(2), at(4))["outcome"].to_pylist() == [1.0, None]
    assert lake.read_joined("flights", at(0), at(2), at(900))["outcome"].to_pylist() == [1.0, 1.0]


def test_outcome_of_a_later_month_is_joined(lake: Lake) -> None:
    predict(lake, [0])
    observe(lake, 0, 1.0, observed=24 * 90, received=24 * 90)
    assert lake.read_joined("flights", at(0), at(1))["outcome"].to_pylist() == [1.0]


def test_snapshot_excludes_later_rows(lake: Lake) -> None:
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


def test_deleted_table_version_is_named(lake: Lake) -> None:
    predict(lake, [0])
    with pytest.raises(NotFound, match="version 99 of the table .* no longer exists"):
        lake.read_predictions("flights", at(0), at(1), table_version=99)


def test_pinned_version_in_a_store_that_fails_is_not_reported_as_deleted(lake: Lake) -> None:
    predict(lake, [0])
    log = Path(lake.predictions("flights"), "_delta_log", f"{0:020d}.json")
    log.unlink()
    log.symlink_to(log)  # reading it is an OSError, as a store without connection is
    with pytest.raises(DependencyUnavailable, match="the lake cannot be read"):
        lake.read_predictions("flights", at(0), at(1), table_version=0)


def test_generations_and_their_event_times(lake: Lake) -> None:
    assert (lake.generations("flights", 0), lake.event_times("flights", 1, at(0)).to_pylist()) == ([], [])
    assert (lake.latest_event_time("flights"), lake.latest_observation("flights")) == (None, None)
    predict(lake, [0, 24 * 40])
    predict(lake, [5])
    assert lake.generations("flights", 0) == [AnsweredGeneration(1, "v", at(0))]
    assert lake.generations("flights", 1) == []
    assert lake.event_times("flights", 1, at(5)).to_pylist() == [at(5), at(24 * 40)]
    assert lake.event_times("flights", 2, at(0)).to_pylist() == []
    observe(lake, 0, 1.0, observed=7, received=9)
    assert (lake.latest_event_time("flights"), lake.latest_observation("flights")) == (at(24 * 40), at(7))


def test_watermark_is_exact_to_the_microsecond(lake: Lake) -> None:
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


def test_prediction_is_found_with_model_and_outcome(lake: Lake) -> None:
    predict(lake, [0], model="taxis")
    predict(lake, [1, 2], distance=7.0)
    observe(lake, 1, 1.0, observed=2, received=2)
    observe(lake, 1, 0.0, observed=3, received=3)
    found = find_prediction(lake, "p1")
    assert found is not None
    assert (found["model"], found["f_distance"], found["outcome"], found["observed_at"]) == (
        "flights",
        7.0,
        0.0,
        at(3),
    )
    assert find_prediction(lake, "p0", "flights") is None
    unknown = find_prediction(lake, "p0")
    assert unknown is not None
    assert (unknown["model"], unknown["outcome"]) == ("taxis", None)


def test_broken_table_of_one_model_hides_no_prediction_of_another(lake: Lake) -> None:
    predict(lake, [1], model="zebras")
    predict(lake, [1], model="apes")
    broken = Path(lake.predictions("apes")) / "_delta_log"
    for entry in broken.iterdir():
        entry.write_text("not json")
    Path(lake.predictions("..")).parent.joinpath("Other Folder").mkdir()
    assert lake.models() == ["apes", "zebras"]
    [row] = lake.read_predictions("zebras", at(0), at(9)).to_pylist()
    found = find_prediction(lake, row["prediction_id"])
    assert found is not None
    assert found["model"] == "zebras"
    with pytest.raises(DependencyUnavailable):
        find_prediction(lake, "unknown")


def test_predictions_of_a_version_are_counted(lake: Lake) -> None:
    assert answered_by(lake, "flights", "v") == Answered(0, None, None)
    predict(lake, [3, 1, 24 * 40])
    predict(lake, [0], model="taxis")
    row = lake.read_predictions("flights", at(3), at(4)).to_pylist()[0]
    other = {**row, "prediction_id": "other", "version": "w", "event_time": at(24 * 80)}
    write(lake.predictions("flights"), [other], PREDICTION_COLUMNS, "event_time")
    assert answered_by(lake, "flights", "v") == Answered(3, at(1), at(24 * 40))
    assert answered_by(lake, "flights", "w") == Answered(1, at(24 * 80), at(24 * 80))
    assert answered_by(lake, "flights", "x") == Answered(0, None, None)


def test_lake_at_a_url_lists_its_models(lake: Lake, tmp_path: Path) -> None:
    predict(lake, [0], model="taxis")
    predict(lake, [0])
    assert Lake((tmp_path / "lake").as_uri()).models() == ["flights", "taxis"]


def test_rows_are_counted_without_reading_them(lake: Lake) -> None:
    assert count_predictions(lake, "flights") == 0
    predict(lake, [1, 2])
    predict(lake, [3])
    assert count_predictions(lake, "flights") == 3


def test_observed_predictions_count_once_and_only_later_ones(lake: Lake) -> None:
    assert count_observed(lake, "flights", None) == 0
    observe(lake, 1, 1.0, observed=3, received=3)
    observe(lake, 1, 0.0, observed=4, received=4)
    observe(lake, 2, 0.0, observed=5, received=5)
    assert count_observed(lake, "flights", None) == 2
    assert count_observed(lake, "flights", at(3)) == 2
    assert count_observed(lake, "flights", at(4)) == 1
    assert count_observed(lake, "flights", at(5)) == 0
    assert count_observed(lake, "flights", at(4), ["shop"]) == 1, "a table that knows no senders"


def test_event_times_come_with_their_generation(lake: Lake) -> None:
    assert lake.read_event_times("flights").column_names == ["generation", "event_time"]
    assert lake.read_event_times("flights").num_rows == 0
    predict(lake, [1, 2])
    assert sorted(lake.read_event_times("flights")["event_time"].to_pylist()) == [at(1), at(2)]


def test_last_commit_is_now(lake: Lake) -> None:
    predict(lake, [1])
    committed = last_commit(lake, "flights")
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


def test_table_without_labels_has_null_labels(lake: Lake) -> None:
    predict(lake, [1])
    observe(lake, 1, 0.5, observed=2, received=2)
    columns = ["label", "scores"]
    expected = [PREDICTION_OPTIONAL_COLUMNS.field(name) for name in columns]
    for table in (
        lake.read_predictions("flights", at(0), at(2), columns),
        lake.read_predictions("unknown", at(0), at(2), columns),
    ):
        assert list(table.schema) == expected
        assert table["label"].null_count == table.num_rows
    for source, outcome in (("value", [0.5]), ("label", [None]), ("values", [None])):
        joined = lake.read_joined("flights", at(0), at(2), columns=["score"], source=source)
        assert joined.column_names == ["prediction_id", "score", "outcome", "observed_at"]
        assert joined["outcome"].to_pylist() == outcome
    assert lake.read_joined("flights", at(0), at(2), source="label", with_outcome=True).num_rows == 0


def test_prediction_is_found_with_its_label(lake: Lake) -> None:
    predict(lake, [1, 2])
    observe(lake, 1, 0.5, observed=2, received=2)
    row: dict[str, object] = {
        "prediction_id": "p2", "value": None, "label": "cat", "observed_at": at(3), "received_at": at(3),
        "writer": "w", "epoch": 1, "sequence": 9, "traceparent": "",
    }  # fmt: skip
    schema = pa.unify_schemas([OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS])
    write(lake.outcomes("flights"), [row], schema, "observed_at")
    found = [find_prediction(lake, name, "flights") for name in ("p1", "p2")]
    assert [row["outcome"] for row in found if row] == [0.5, "cat"]


def test_early_and_contradicting_outcomes_are_marked(lake: Lake) -> None:
    predict(lake, [1, 2, 3, 4])
    rows = lake.read_predictions("flights", at(0), at(9)).to_pylist()
    ids = [row["prediction_id"] for row in rows]
    location, start = lake.outcomes("flights"), at(0)
    sent = [
        (ids[0], 1.0, at(5)),  # once
        (ids[1], 1.0, at(5)),  # twice, the same
        (ids[1], 1.0, at(6)),
        (ids[2], 1.0, at(5)),  # corrected
        (ids[2], 0.0, at(6)),
        (ids[3], 1.0, at(4) - timedelta(days=1, seconds=1)),  # before the event
    ]
    entries = [
        {
            **dict.fromkeys(OUTCOME_COLUMNS.names),
            "prediction_id": one,
            "value": value,
            "observed_at": seen,
            "received_at": start + timedelta(seconds=number),
            "writer": "w",
            "epoch": 1,
            "sequence": number,
            "sender": "shop" if number % 2 == 0 else "sensors",
        }
        for number, (one, value, seen) in enumerate(sent)
    ]
    columns = pa.unify_schemas([OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS])
    write(location, [dict.fromkeys(columns.names) | entry for entry in entries], columns, "observed_at")
    wide = datetime(1, 1, 2, tzinfo=UTC)
    joined = lake.read_joined("flights", wide, at(9), columns=["score"], with_faults=True)
    assert "event_time" not in joined.column_names
    found = {row["prediction_id"]: row for row in joined.to_pylist()}
    shown = [(found[one]["outcome"], found[one]["is_early"], found[one]["senders"]) for one in ids]
    both = ["sensors", "shop"]
    assert shown == [(1.0, False, None), (1.0, False, None), (0.0, False, both), (None, True, None)]
    assert found[ids[3]]["observed_at"] is None
    every = count_observed(lake, "flights", None)
    assert count_observed(lake, "flights", None, ["nobody"]) == every
    assert count_observed(lake, "flights", None, ["shop"]) == len(
        {entry["prediction_id"] for entry in entries if entry["sender"] != "shop"}
    )
    assert count_observed(lake, "flights", None, ["shop", "sensors"]) == 0
    # Without the sender of the correction, the first outcome counts, and nothing contradicts it.
    honest = lake.read_joined(
        "flights", wide, at(9), columns=["score"], with_faults=True, excluded_senders=["shop"]
    ).to_pylist()
    assert {row["prediction_id"]: (row["outcome"], row["senders"]) for row in honest} == {
        ids[0]: (None, None),
        ids[1]: (1.0, None),
        ids[2]: (1.0, None),
        ids[3]: (None, None),
    }
    plain = lake.read_joined("flights", wide, at(9), with_outcome=True)
    assert set(plain["prediction_id"].to_pylist()) == set(ids[:3]), "an early outcome is none"
    assert not {"is_early", "senders"} & set(plain.column_names)
