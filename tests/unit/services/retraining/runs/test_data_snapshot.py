"""Snapshots: the right rows at recorded table versions, split by time, reproducible byte for byte."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from services.prediction_log.sink.expiry import Expiry
from services.prediction_log.sink.table_properties import Retention
from services.prediction_log.sink.table_writer import TableWriter
from services.retraining.runs.data_snapshot import (
    SnapshotSummary,
    problem_with,
    read_rows,
    take_snapshot,
    verify_snapshot,
)
from services.retraining.runs.workspace import RunFolder
from services.retraining.snapshots.pin import pin_lake
from shared.contracts.lake_schema import OUTCOME_COLUMNS, PREDICTION_COLUMNS, PREDICTIONS
from shared.contracts.loop_spec import LoopSpec
from shared.stores.lake import Lake
from tests.fakes.class_lake import fill_class_lake
from tests.fakes.class_model import class_loop
from tests.fakes.retraining_installation import MODEL, START, fill_lake, loop_with
from tests.fakes.values_lake import fill_values_lake
from tests.fakes.vector_model import LINES, NAMES, values_loop

DAY = timedelta(days=1)
NOW = datetime(2013, 3, 1, tzinfo=UTC)
TRAINING = {"command": ["python", "train.py"], "minimum_rows": 50}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Thirty days, four rows an hour; the last row's event time is 30 d less 15 min after the start."""
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    fill_lake(lake, START, 30, 4, 7)
    return lake


def folder_of(home: Path, run_id: str = "run-1") -> RunFolder:
    folder = RunFolder(home / "runs" / run_id)
    folder.root.mkdir(parents=True, exist_ok=True)
    return folder


def spec_with(**changes: Any) -> LoopSpec:
    return LoopSpec.model_validate(loop_with(**changes))


def snapshot_of(
    lake: Lake, spec: LoopSpec, folder: RunFolder, *, since: datetime | None = None, faulty: Any = ()
) -> SnapshotSummary:
    pin = pin_lake(lake, MODEL, faulty, NOW)
    assert pin is not None
    return take_snapshot(lake, spec, pin, since, folder)


def test_holdout_is_last_and_training_ends_before_it(lake: Lake, tmp_path: Path) -> None:
    summary = snapshot_of(lake, spec_with(), folder_of(tmp_path))
    # The newest row is of 23:45; outcomes take 2 h to settle; the holdout is the 5 days before, both ends included; training
    # rows end 2 h before it, because later outcomes became known during the holdout.
    assert summary.holdout_until == "2013-01-30T21:45:00+00:00"
    assert summary.holdout_from == "2013-01-25T21:45:00+00:00"
    assert summary.train_from == "2013-01-01T00:00:00+00:00"
    assert summary.train_until == "2013-01-25T19:30:00+00:00"
    assert (summary.train_rows, summary.holdout_rows) == (24 * 4 * 24 + 79, 5 * 24 * 4 + 1)
    folder = folder_of(tmp_path)
    train, holdout = pq.read_table(folder.train), pq.read_table(folder.holdout)
    assert train.column_names == ["event_time", "x", "color", "outcome", "prediction_id"]
    assert pc.max(train["event_time"]).as_py() < pc.min(holdout["event_time"]).as_py()
    assert not set(train["prediction_id"].to_pylist()) & set(holdout["prediction_id"].to_pylist())
    assert train["event_time"].to_pylist() == sorted(train["event_time"].to_pylist())
    assert str(train.schema.field("event_time").type) == "timestamp[us, tz=UTC]"


def test_snapshot_outlives_the_rows_of_the_lake(tmp_path: Path) -> None:
    """What a version was trained on stays readable when the sink deletes rows by age."""
    lake = Lake(str(tmp_path / "lake"))
    fill_lake(lake, START, 10, 4, 7)
    folder = folder_of(tmp_path)
    summary = snapshot_of(lake, spec_with(), folder)

    def table(kind: str, model: str) -> TableWriter:
        location, columns, time = (
            (lake.predictions(model), PREDICTION_COLUMNS, "event_time")
            if kind == PREDICTIONS
            else (lake.outcomes(model), OUTCOME_COLUMNS, "observed_at")
        )
        return TableWriter(location, columns, time_column=time, retention=Retention(DAY))

    Expiry(lake, DAY, table, lambda: datetime.now(UTC) + 2 * DAY).expire()
    assert lake.read_predictions(MODEL, START, NOW).num_rows == 0
    verify_snapshot(summary, folder)
    assert pq.read_table(folder.train).num_rows == summary.train_rows > 0


def test_same_pin_gives_same_digest(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    fill_lake(lake, START, 10, 4, 7)
    pin = pin_lake(lake, MODEL, (), NOW)
    assert pin is not None
    first = take_snapshot(lake, spec_with(), pin, None, folder_of(tmp_path, "one"))
    fill_lake(lake, START, 10, 4, 8)  # late rows about the same days
    again = take_snapshot(lake, spec_with(), pin, None, folder_of(tmp_path, "two"))
    assert again == first
    later = pin_lake(lake, MODEL, (), NOW)
    assert later is not None
    assert take_snapshot(lake, spec_with(), later, None, folder_of(tmp_path, "three")).digest != first.digest


def test_complete_snapshot_is_kept_partial_is_rewritten(lake: Lake, tmp_path: Path) -> None:
    summary = snapshot_of(lake, spec_with(), folder_of(tmp_path))
    folder = folder_of(tmp_path)
    before = folder.train.stat().st_mtime_ns
    assert snapshot_of(lake, spec_with(), folder_of(tmp_path)) == summary
    assert folder.train.stat().st_mtime_ns == before
    shutil.move(folder.snapshot, folder.root / ".snapshot")  # as if killed before the rename
    folder.holdout.write_bytes(b"half")
    assert snapshot_of(lake, spec_with(), folder_of(tmp_path)) == summary
    rows = folder.holdout.read_bytes()
    folder.holdout.unlink()
    assert snapshot_of(lake, spec_with(), folder_of(tmp_path)) == summary
    assert folder.holdout.read_bytes() == rows
    assert folder.evaluation.stat().st_mode & 0o777 == 0o700


def test_crash_while_writing_leaves_no_snapshot(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("services.retraining.runs.data_snapshot.write_json", dies)
        with pytest.raises(Killed):
            snapshot_of(lake, spec_with(), folder_of(tmp_path))
    assert not folder_of(tmp_path).snapshot.exists()
    assert snapshot_of(lake, spec_with(), folder_of(tmp_path)).train_rows == 2383


def test_faulty_intervals_are_excluded(lake: Lake, tmp_path: Path) -> None:
    faulty = [(START + 3 * DAY, START + 4 * DAY), (START + 28 * DAY, START + 29 * DAY)]
    clean, summary = (
        snapshot_of(lake, spec_with(), folder_of(tmp_path, "a")),
        snapshot_of(lake, spec_with(), folder_of(tmp_path, "b"), faulty=faulty),
    )
    assert summary.train_rows == clean.train_rows - 96
    assert summary.holdout_rows == clean.holdout_rows - 96
    assert summary.left_out_rows == 192
    assert summary.digest != clean.digest


@pytest.mark.parametrize(
    ("window", "since", "rows"),
    [
        ({"use": "all"}, None, 2383),
        ({"use": "last", "span": "3d"}, None, 288),
        ({"use": "last", "rows": 100}, None, 100),
        ({"use": "last", "rows": 99999}, None, 2383),
        ({"use": "since_change", "minimum_rows": 200}, START + 20 * DAY, 463),
        (
            {"use": "since_change", "minimum_rows": 200},
            START + 29 * DAY,
            200,
        ),  # the change lies in the holdout
        ({"use": "since_change", "minimum_rows": 200}, None, 2383),  # no change was seen
    ],
)
def test_training_window(
    lake: Lake, tmp_path: Path, window: dict[str, Any], since: datetime | None, rows: int
) -> None:
    summary = snapshot_of(lake, spec_with(retraining={"window": window}), folder_of(tmp_path), since=since)
    assert summary.train_rows == rows
    assert summary.train_until == "2013-01-25T19:30:00+00:00"


def test_faulty_windows_are_named_among_the_missing_rows(lake: Lake, tmp_path: Path) -> None:
    faulty = ((START, START + 29 * DAY),)
    summary = snapshot_of(lake, spec_with(), folder_of(tmp_path), faulty=faulty)
    problem = problem_with(summary, spec_with(), folder_of(tmp_path))
    assert problem.startswith("0 training rows with outcomes from the first row until 2013-01-25 19:45")
    assert (
        f"{29 * 24 * 4} rows in windows with data faults, or older than a rolled back release, were left out."
        in problem
    )


def test_too_few_rows_are_unfit(lake: Lake, tmp_path: Path) -> None:
    spec = spec_with(retraining={"window": {"use": "last", "rows": 100}})
    summary = snapshot_of(lake, spec, folder_of(tmp_path, "a"))
    assert problem_with(summary, spec, folder_of(tmp_path, "a")).startswith(
        "100 training rows with outcomes from the first row until 2013-01-25 19:45; "
        "retraining.minimum_rows is "
    )
    spec = spec_with(gate={"holdout": "2h"})
    summary = snapshot_of(lake, spec, folder_of(tmp_path, "b"))
    problem = problem_with(summary, spec, folder_of(tmp_path, "b"))
    assert problem.startswith(
        "9 holdout rows with outcomes from 2013-01-30 19:45 to 2013-01-30 21:45; gate.minimum_rows is "
    )
    assert "The newest prediction is of 2013-01-30 23:45" in problem
    assert "left out" not in problem
    assert (
        problem_with(
            snapshot_of(lake, spec_with(), folder_of(tmp_path, "c")), spec_with(), folder_of(tmp_path, "c")
        )
        == ""
    )


def test_outcomes_of_one_class_are_unfit(lake: Lake, tmp_path: Path) -> None:
    summary = snapshot_of(lake, spec_with(), folder_of(tmp_path))
    folder = folder_of(tmp_path)
    holdout = pq.read_table(folder.holdout)
    ones = holdout.set_column(3, "outcome", pc.add(pc.multiply(holdout["outcome"], 0.0), 1.0))
    pq.write_table(ones, folder.holdout)
    assert problem_with(summary, spec_with(), folder) == "the holdout contains outcomes of one class only"


def spoil(lake: Lake, rows: int, outcome: float) -> None:
    """Give the outcomes of the first `rows` rows of the lake another value, as an earlier server accepted it."""
    path = f"{lake.root}/outcomes/{MODEL}"
    table = DeltaTable(path).to_pyarrow_table()
    first = lake.read_joined(MODEL, START, START + 40 * DAY, columns=["event_time"], with_outcome=True)
    ids = first["prediction_id"].slice(0, rows)
    place = table.schema.get_field_index("value")
    values = pc.if_else(pc.is_in(table["prediction_id"], ids.combine_chunks()), outcome, table["value"])
    write_deltalake(path, table.set_column(place, table.schema.field(place), values), mode="overwrite")


@pytest.mark.parametrize("outcome", [0.5, 2.0, -1.0, float("nan"), float("inf")])
def test_unfit_outcomes_are_left_out_and_counted(tmp_path: Path, outcome: float) -> None:
    lake = Lake(str(tmp_path / "lake"))
    fill_lake(lake, START, 30, 4, 7)
    before = snapshot_of(lake, spec_with(), folder_of(tmp_path, "before"))
    spoil(lake, 3, outcome)
    after = snapshot_of(lake, spec_with(), folder_of(tmp_path, "after"))
    assert (before.unfit_outcome_rows, after.unfit_outcome_rows) == (0, 3)
    assert (after.train_rows, after.holdout_rows) == (before.train_rows - 3, before.holdout_rows)
    train = pq.read_table(folder_of(tmp_path, "after").train)
    assert set(train["outcome"].to_pylist()) == {0.0, 1.0}
    assert problem_with(after, spec_with(), folder_of(tmp_path, "after")) == ""


def test_unfit_outcomes_explain_missing_rows(lake: Lake, tmp_path: Path) -> None:
    spec = spec_with(gate={"holdout": "2h"})
    summary = replace(snapshot_of(lake, spec, folder_of(tmp_path)), unfit_outcome_rows=7)
    problem = problem_with(summary, spec, folder_of(tmp_path))
    assert "; 7 rows were left out: their outcome is not 0 or 1. The newest prediction" in problem


def test_empty_lake_has_no_pin(tmp_path: Path) -> None:
    assert pin_lake(Lake(str(tmp_path)), MODEL, (), NOW) is None


def test_timestamps_are_utc(lake: Lake) -> None:
    pin = pin_lake(lake, MODEL, [(START, START + DAY)], NOW)
    assert pin is not None
    assert datetime.fromisoformat(pin.watermark) == datetime(2013, 1, 30, 23, 45, tzinfo=UTC)
    assert pin.faulty == (("2013-01-01T00:00:00+00:00", "2013-01-02T00:00:00+00:00"),)


def test_future_row_does_not_move_the_split(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    fill_lake(lake, START, 30, 4, 7)
    before = snapshot_of(lake, spec_with(), folder_of(tmp_path, "before"))
    fill_lake(lake, datetime(2999, 1, 1, tzinfo=UTC), 1, 4, 8)
    now = START + 30 * DAY - timedelta(minutes=15)  # the time of the newest real row
    pin = pin_lake(lake, MODEL, (), now)
    assert pin is not None
    assert datetime.fromisoformat(pin.watermark) == now
    summary = take_snapshot(lake, spec_with(), pin, None, folder_of(tmp_path, "after"))
    assert (summary.holdout_rows, summary.holdout_until) == (before.holdout_rows, before.holdout_until)
    assert (summary.train_rows, summary.train_until) == (before.train_rows, before.train_until)
    assert problem_with(summary, spec_with(), folder_of(tmp_path, "after")) == ""


@pytest.mark.parametrize(("labels", "kind"), [(("cat", "dog", "bird"), pa.string()), ((3, 5, 8), pa.int64())])
def test_outcomes_of_classes_are_labels_as_in_the_loop(
    tmp_path: Path, labels: tuple[int | str, ...], kind: pa.DataType
) -> None:
    spec = class_loop(labels, gate={"holdout": "10m", "minimum_rows": 20}, outcome={"delay": "0s"})
    lake = Lake(str(tmp_path / "lake"))
    outcomes: list[int | str | None] = [labels[row % 3] for row in range(60)]
    outcomes[0], outcomes[1] = "fish", None
    fill_class_lake(lake, spec, [row % 3 for row in range(60)], outcomes)
    pin = pin_lake(lake, spec.model, (), datetime(2026, 3, 1, tzinfo=UTC))
    assert pin is not None
    folder = folder_of(tmp_path)
    summary = take_snapshot(lake, spec, pin, None, folder)
    train, holdout = pq.read_table(folder.train), pq.read_table(folder.holdout)
    assert (summary.train_rows, summary.holdout_rows, summary.unfit_outcome_rows) == (47, 11, 1)
    assert train.schema.field("outcome").type == holdout.schema.field("outcome").type == kind
    assert train["outcome"].to_pylist() == outcomes[2:49]
    shown = ", ".join(map(str, labels))
    assert problem_with(summary, class_loop(labels), folder).startswith(
        "47 training rows with outcomes from the first row until 2025-12-30 22:59; retraining.minimum_rows is 1000; "
        f"1 rows were left out: their outcome is not one of {shown}. The newest prediction is of 2026-01-01 00:59"
    )


def test_outcomes_of_one_class_only_are_unfit(tmp_path: Path) -> None:
    spec = class_loop(
        gate={"holdout": "30m", "minimum_rows": 20}, outcome={"delay": "0s"}, retraining=TRAINING
    )
    lake = Lake(str(tmp_path / "lake"))
    fill_class_lake(lake, spec, [0] * 120, ["cat"] * 120)
    pin = pin_lake(lake, spec.model, (), datetime(2026, 3, 1, tzinfo=UTC))
    assert pin is not None
    folder = folder_of(tmp_path)
    summary = take_snapshot(lake, spec, pin, None, folder)
    assert summary.train_rows >= 50
    assert problem_with(summary, spec, folder) == "train.parquet contains outcomes of one class only"


def test_outcomes_of_values_are_structs_with_the_names_of_the_loop(tmp_path: Path) -> None:
    """Rows whose outcome has other names, as before a change of loop.yaml, do not fit."""
    spec = values_loop(
        gate={"holdout": "30m", "minimum_rows": 20}, outcome={"delay": "0s"}, retraining=TRAINING
    )
    lake = Lake(str(tmp_path / "lake"))
    outcomes: list[dict[str, float] | None] = [
        {"high": 3.0, "low": float(row), "mid": 2.0, "more": 9.0} for row in range(120)
    ]
    outcomes[0], outcomes[1] = {"low": 1.0, "mid": 2.0}, None
    fill_values_lake(lake, spec, [0] * 120, np.repeat(LINES[:1], 120, axis=0), outcomes)
    pin = pin_lake(lake, spec.model, (), datetime(2026, 3, 1, tzinfo=UTC))
    assert pin is not None
    folder = folder_of(tmp_path)
    summary = take_snapshot(lake, spec, pin, None, folder)
    train, holdout = pq.read_table(folder.train), pq.read_table(folder.holdout)
    assert (summary.train_rows, summary.holdout_rows, summary.unfit_outcome_rows) == (87, 31, 1)
    kind = pa.struct([(name, pa.float64()) for name in NAMES])
    assert train.schema.field("outcome").type == holdout.schema.field("outcome").type == kind
    assert train["outcome"][0].as_py() == {"low": 2.0, "mid": 2.0, "high": 3.0}
    assert problem_with(summary, spec, folder) == ""


def test_imported_rows_are_trained_on_and_judge_nothing(tmp_path: Path) -> None:
    """History from before the traffic, and of the days of the holdout."""
    lake = Lake(str(tmp_path / "lake"))
    fill_lake(lake, START, 10, 4, 7)
    alone = snapshot_of(lake, spec_with(), folder_of(tmp_path, "alone"))
    fill_lake(lake, START - 5 * DAY, 15, 2, 8, writer="import-1", source="import")
    folder = folder_of(tmp_path, "with")
    both = snapshot_of(lake, spec_with(), folder)
    assert both.pin["watermark"] == alone.pin["watermark"]
    assert both.holdout_rows == alone.holdout_rows
    imported = pc.sum(pc.starts_with(pq.read_table(folder.train)["prediction_id"], "p8-")).as_py()
    assert (imported, both.train_rows - imported) == (472, alone.train_rows)
    pin = pin_lake(lake, MODEL, (), NOW)
    assert pin is not None
    judged = read_rows(lake, spec_with(), pin, START - 5 * DAY, START + 10 * DAY)
    assert not any(one.startswith("p8-") for one in judged["prediction_id"].to_pylist())
