from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.columns import (
    answer_columns,
    columns_of,
    prediction_columns,
    rows_from_table,
    sample,
)
from services.drift.evaluation.performance_metrics import measure
from services.drift.evaluation.summaries.texts import with_vocabularies
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.class_model import TABLE, class_loop
from tests.fakes.vector_model import EMBEDDING, LINES, embedding_loop, values_loop
from tests.unit.services.drift.world import loop, minutes, ordinary

TENSOR = {
    "features": [{"name": "t", "type": "tensor", "shape": [2, 2]}, {"name": "b", "type": "boolean"}],
    "prediction": {"kind": "value"},
    "metric": {"name": "mae"},
}


def test_rows_come_in_time_order_and_keep_what_is_missing() -> None:
    table = pa.table(
        {
            "event_time": [minutes(2), minutes(0), minutes(1)],
            "f_x": pa.array([2.0, None, float("inf")]),
            "f_c": pa.array(["a", None, "b"]),
            "score": pa.array([0.2, 0.0, None]),
            "outcome": pa.array([1.0, None, 0.0]),
        }
    )
    rows = rows_from_table(table, loop(), prefix="f_")
    assert np.array_equal(rows.columns["x"].astype(float), [np.nan, np.nan, 2.0], equal_nan=True)
    assert rows.columns["c"].tolist() == [None, "b", "a"]
    assert np.array_equal(rows.predictions["score"], [0.0, np.nan, 0.2], equal_nan=True)
    assert np.array_equal(rows.outcome, [np.nan, 0.0, 1.0], equal_nan=True)


def test_a_column_the_table_lacks_is_missing_in_every_row() -> None:
    rows = rows_from_table(pa.table({"event_time": [minutes(0)]}), loop())
    assert rows.columns["c"].tolist() == [None]
    assert np.isnan(rows.columns["x"].astype(float)).all()
    assert np.isnan(rows.predictions["score"]).all()


def test_no_rows_are_rows_too() -> None:
    rows = rows_from_table(pa.table({"event_time": pa.array([], pa.timestamp("us", tz="UTC"))}), loop())
    assert len(rows) == 0


def test_a_text_is_summarised_by_its_length_and_words() -> None:
    spec = loop(
        features=[{"name": "t", "type": "text"}], prediction={"kind": "value"}, metric={"name": "mae"}
    )
    table = pa.table(
        {
            "event_time": [minutes(0), minutes(1), minutes(2)],
            "t": ["käse", None, ""],
            "score": [1.0, 2.0, 3.0],
        }
    )
    found = [(column.name, column.kind, column.summary) for column in columns_of(spec)]
    assert found == [("t.length", "numeric", "length"), ("t.distinct", "numeric", "distinct")]
    np.testing.assert_array_equal(rows_from_table(table, spec).columns["t.length"], [4.0, np.nan, 0.0])
    _, known = with_vocabularies(spec, table)
    assert [column.summary for column in columns_of(known)] == ["length", "distinct", "unknown"]


def test_a_tensor_is_summarised_by_mean_and_spread() -> None:
    spec = loop(**TENSOR)
    table = pa.table(
        {
            "event_time": [minutes(0), minutes(1)],
            "t": [[1.0, 2.0, 3.0, 4.0], [5.0] * 4],
            "b": [True, None],
            "score": [1.0, 2.0],
        }
    )
    rows = rows_from_table(table, spec)
    assert [column.name for column in columns_of(spec)] == ["t.mean", "t.std", "b"]
    assert rows.columns["t.mean"].tolist() == [2.5, 5.0]
    assert rows.columns["t.std"].tolist() == pytest.approx([np.std([1, 2, 3, 4]), 0.0])
    assert rows.columns["b"].tolist() == ["true", None]


def test_a_sample_is_seeded_and_spread_over_all_of_the_time() -> None:
    rows = rows_from_table(pa.table(ordinary(10000, 1)), loop())
    few = sample(rows, 1000, seed=7)
    assert len(few) == 1000
    assert np.array_equal(few.event_time, sample(rows, 1000, seed=7).event_time)
    assert not np.array_equal(few.event_time, sample(rows, 1000, seed=8).event_time)
    places = np.searchsorted(rows.event_time, few.event_time)
    assert (places // 10).tolist() == list(range(1000))


def test_fewer_rows_than_asked_for_stay_as_they_are() -> None:
    rows = rows_from_table(pa.table(ordinary(10, 1)), loop())
    assert sample(rows, 10, seed=1) is rows


def class_table(**changes: object) -> pa.Table:
    columns: dict[str, object] = {
        "event_time": [minutes(2), minutes(0), minutes(1)],
        "line": [2, 0, 1],
        "label": ["bird", "cat", None],
        "scores": pa.array([TABLE[2], TABLE[0], None], pa.list_(pa.float32())),
        "outcome": ["cat", "cat", "dog"],
    }
    return pa.table({name: column for name, column in (columns | changes).items() if column is not None})


def test_of_classes_the_label_is_measured_and_the_loss_is_of_the_true_one() -> None:
    rows = rows_from_table(class_table(), class_loop())
    assert rows.predictions["label"].tolist() == ["cat", None, "bird"]
    assert rows.outcome.tolist() == [0.0, 1.0, 0.0]
    assert rows.loss == pytest.approx([-np.log(0.75), np.nan, -np.log(0.125)], nan_ok=True)
    by_errors = rows_from_table(class_table(), class_loop(metric={"name": "error_rate"}))
    assert by_errors.loss == pytest.approx([0.0, np.nan, 1.0], nan_ok=True)
    assert rows.take(np.array([2])).loss == rows.loss[2:]


def test_integer_labels_are_compared_as_text() -> None:
    table = class_table(label=["8", "3", None], outcome=[3, 3, 5])
    rows = rows_from_table(table, class_loop((3, 5, 8)))
    assert rows.predictions["label"].tolist() == ["3", None, "8"]
    assert rows.outcome.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("lacking", ["label", "scores", "outcome"])
def test_an_answer_column_the_table_lacks_is_missing_in_every_row(lacking: str) -> None:
    rows = rows_from_table(class_table(**{lacking: None}), class_loop())
    assert np.isnan(rows.loss).all() == (lacking != "label")
    assert (rows.predictions["label"] == np.array(None)).all() == (lacking == "label")


def values_table(**changes: object) -> pa.Table:
    columns: dict[str, object] = {
        "event_time": [minutes(2), minutes(0), minutes(1)],
        "line": [2, 0, 1],
        "scores": pa.array([LINES[2], LINES[0], None], pa.list_(pa.float32())),
        "outcome": [
            {"high": 46.0, "low": 10.0, "mid": 20.0},
            {"high": 4.0, "low": 1.0, "mid": None},
            {"high": 1.0, "low": 1.0, "mid": 1.0},
        ],
    }
    return pa.table({name: column for name, column in (columns | changes).items() if column is not None})


def test_of_values_each_number_is_measured_and_the_loss_is_their_mean() -> None:
    rows = rows_from_table(values_table(), values_loop())
    assert list(rows.predictions) == ["score.low", "score.mid", "score.high"]
    assert rows.predictions["score.high"] == pytest.approx([4.0, np.nan, 40.0], nan_ok=True)
    assert rows.outcome == pytest.approx([np.nan, 1.0, 76 / 3], nan_ok=True)
    assert rows.loss == pytest.approx([np.nan, np.nan, 2.0], nan_ok=True)
    squares = rows_from_table(values_table(), values_loop(metric={"name": "rmse"}))
    assert squares.loss == pytest.approx([np.nan, np.nan, 12.0], nan_ok=True)
    assert rows.take(np.array([2])).predictions["score.low"].tolist() == [10.0]
    known = (answer.name for answer in prediction_columns(values_loop()))
    assert tuple(known) == tuple(rows.predictions)


@pytest.mark.parametrize("lacking", ["scores", "outcome"])
def test_a_column_of_values_the_table_lacks_is_missing_in_every_row(lacking: str) -> None:
    rows = rows_from_table(values_table(**{lacking: None}), values_loop())
    assert np.isnan(rows.loss).all()
    assert np.isnan(rows.outcome).all() == (lacking == "outcome")


@pytest.mark.parametrize("prediction", [EMBEDDING, {"kind": "tensor"}])
def test_of_a_kind_without_loss_the_features_are_measured_only(prediction: dict[str, Any]) -> None:
    spec = embedding_loop(prediction=prediction)
    rows = rows_from_table(values_table(outcome=[1.0, 2.0, 3.0]), spec)
    assert (rows.predictions, prediction_columns(spec), answer_columns(spec)) == ({}, (), ())
    assert np.isnan(rows.outcome).all()
    assert np.isnan(rows.loss).all()
    assert rows.columns["line"].tolist() == [0.0, 1.0, 2.0]


TIMES = loop(
    features=[{"name": "ordered", "type": "timestamp"}], prediction={"kind": "value"}, metric={"name": "mae"}
)


def test_a_timestamp_has_a_value_and_an_age_in_seconds() -> None:
    table = pa.table(
        {
            "event_time": [minutes(1), minutes(0)],
            "ordered": [minutes(3), minutes(-30) - timedelta(microseconds=1)],
            "score": [1.0] * 2,
        }
    )
    rows = rows_from_table(table, TIMES)
    assert [(column.name, column.summary) for column in columns_of(TIMES)] == [
        ("ordered", ""),
        ("ordered.age", "age"),
    ]
    assert rows.columns["ordered.age"].tolist() == [1800.000001, -120.0]
    assert rows.columns["ordered"].tolist() == [minutes(-30).timestamp() - 1e-6, minutes(3).timestamp()]


def test_timestamp_that_the_lake_does_not_have_yet_is_missing() -> None:
    rows = rows_from_table(pa.table({"event_time": [minutes(0)], "score": [1.0]}), TIMES)
    assert np.isnan(rows.columns["ordered"]).all()
    assert np.isnan(rows.columns["ordered.age"]).all()


@pytest.mark.parametrize(
    ("spec", "table", "metric"),
    [
        (class_loop(metrics=["accuracy"]), class_table(), "accuracy"),
        (values_loop(metrics=["r2"]), values_table(), "mae"),
    ],
)
def test_what_metrics_need_is_kept_where_loop_yaml_names_some(
    spec: LoopSpec, table: pa.Table, metric: str
) -> None:
    rows = rows_from_table(table, spec)
    assert rows.answered is not None
    assert measure(metric, rows.answered) is not None
    assert rows.take(np.array([0])).answered is not None
    bare = LoopSpec.model_validate(spec.model_dump(mode="json") | {"metrics": []})
    assert rows_from_table(table, bare).answered is None
