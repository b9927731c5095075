"""A feature changes its type between versions: spool, Kafka records, lake, windows, snapshots and `why` agree on what it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.drift.windows import Span
from services.prediction_log.sink.table_properties import Retention
from services.prediction_log.sink.table_writer import TableWriter
from services.retraining.runs.data_snapshot import SnapshotSummary, problem_with, take_snapshot
from services.retraining.runs.workspace import RunFolder
from services.retraining.snapshots.pin import pin_lake
from shared.contracts.lake_schema import PREDICTION_COLUMNS
from shared.contracts.loop_spec import LoopSpec
from shared.stores.lake_statistics import stored_features
from shared.stores.prediction_lookup import find_prediction
from tests.unit.services.prediction_log.conftest import Log

START = datetime(2013, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CATEGORY = {"name": "age", "type": "category", "values": ["old", "young"]}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.spool.close()


def spec_with(*features: dict[str, Any]) -> LoopSpec:
    return LoopSpec.model_validate(
        {
            "model": "people",
            "features": list(features),
            "prediction": {"kind": "probability"},
            "outcome": {"delay": "0s"},
            "metric": {"name": "log_loss"},
            "drift": {"window": {"every": "1h", "minimum_rows": 20}},
            "retraining": {"command": ["python", "train.py"], "minimum_rows": 50},
            "gate": {"holdout": "4m", "minimum_rows": 20},
        }
    )


def answer(log: Log, generation: int, first: int, columns: dict[str, Sequence[object]]) -> None:
    """Rows `first` and following, one a minute, answered by the version of that generation; each gets an outcome."""
    count = len(next(iter(columns.values())))
    for row in range(first, first + count):
        log.spool.append_predictions(
            model="people",
            version=str(generation) * 64,
            generation=generation,
            event_time=START + row * MINUTE,
            answered_at=START + row * MINUTE,
            prediction_ids=[f"p{row}"],
            scores=[0.5],
            columns={name: [values[row - first]] for name, values in columns.items()},
        )
        log.spool.append_outcomes(
            model="people",
            received_at=START + row * MINUTE,
            prediction_ids=[f"p{row}"],
            values=[float(row % 2)],
            observed_at=[START + row * MINUTE],
        )
    log.drain()


def snapshot(log: Log, spec: LoopSpec) -> tuple[SnapshotSummary, RunFolder, pa.Table]:
    """Training and holdout rows of a run as one table, in time order."""
    pin = pin_lake(log.lake, "people", (), START + timedelta(days=1))
    assert pin is not None
    folder = RunFolder(log.home / "runs" / spec.features[0].type)
    folder.root.mkdir(parents=True)
    summary = take_snapshot(log.lake, spec, pin, None, folder)
    rows = pa.concat_tables([pq.read_table(folder.train), pq.read_table(folder.holdout)])
    return summary, folder, rows


def window(log: Log, spec: LoopSpec, generation: int) -> list[object]:
    """The feature's values in a window over all rows."""
    span = Span(START, START + timedelta(hours=1))
    rows = DeltaLakeReader(log.lake).rows("people", spec, span, generation)
    values: list[object] = rows.columns["age"].tolist()
    return values


def test_integer_that_becomes_a_number_is_one_feature(log: Log) -> None:
    whole, number = ({"name": "age", "type": kind} for kind in ("integer", "number"))
    answer(log, 1, 0, {"age": [20, 21, 22, 23]})
    answer(log, 2, 4, {"age": [24.5, 25.0, 26.5, 27.5]})
    answer(log, 3, 8, {"age": [28, 29]})  # the first version again, by a rollback
    assert log.dead_letters() == []
    assert stored_features(log.lake, "people") == {"f_age": pa.int64(), "f_age$number": pa.float64()}
    assert window(log, spec_with(whole), 1) == [20, 21, 22, 23]
    assert window(log, spec_with(number), 2) == [24.5, 25.0, 26.5, 27.5]
    assert window(log, spec_with(whole), 3) == [28, 29]
    summary, _, rows = snapshot(log, spec_with(number))
    assert rows["age"].to_pylist() == [20.0, 21.0, 22.0, 23.0, 24.5, 25.0, 26.5, 27.5, 28.0, 29.0]
    assert rows.schema.field("age").type == pa.float64()
    assert (summary.train_rows, summary.holdout_rows, summary.other_type_rows) == (5, 5, 0)
    # Of the integer's type: rows whose number is no integer are not used.
    summary, _, rows = snapshot(log, spec_with(whole))
    assert rows["age"].to_pylist() == [20, 21, 22, 23, 25, 28, 29]
    assert rows.schema.field("age").type == pa.int64()
    assert summary.other_type_rows == 3
    for row, value in ((0, 20), (4, 24.5), (8, 28)):
        found = find_prediction(log.lake, f"p{row}")
        assert found is not None
        assert found["f_age"] == value
        assert not [name for name in found if "$" in name]


def test_number_that_becomes_a_category_has_a_column_of_its_own(log: Log) -> None:
    number = {"name": "age", "type": "number"}
    answer(log, 1, 0, {"age": [20.5, 21.5], "size": [1.0, 2.0]})
    answer(log, 2, 2, {"Age": ["old", "young", "old"], "size": [3.0, 4.0, 5.0]})
    writer = TableWriter(
        log.lake.predictions("people"),
        PREDICTION_COLUMNS,
        time_column="event_time",
        retention=Retention(),
    )
    writer.compact()
    assert log.dead_letters() == []
    assert set(stored_features(log.lake, "people")) == {"f_age", "f_age$text", "f_size"}
    assert window(log, spec_with(number), 1) == [20.5, 21.5]
    assert window(log, spec_with(CATEGORY), 2) == ["old", "young", "old"]
    assert str(window(log, spec_with(number), 2)) == "[nan, nan, nan]"
    spelled = {**CATEGORY, "name": "Age"}
    summary, folder, rows = snapshot(log, spec_with(spelled, {"name": "size", "type": "number"}))
    assert rows["Age"].to_pylist() == ["old", "young", "old"]
    assert rows["size"].to_pylist() == [3.0, 4.0, 5.0]
    assert summary.other_type_rows == 2
    short = summary.__class__(**{**summary.__dict__, "train_rows": 0})
    assert "2 rows of earlier versions were left out: a feature had another type" in problem_with(
        short, spec_with(spelled), folder
    )
