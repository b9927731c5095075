"""Rows a person hands over: read in time order, in the features' types; what is wrong is named with its file and column."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.deployment import parquet_rows as rows
from cli.deployment.parquet_rows import check_columns, newest, newest_time, read_rows, with_scores
from shared.contracts.feature import Feature
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from shared.contracts.prediction import Prediction
from shared.errors import ProjectError
from shared.models.answers import read_outcomes
from tests.fakes.class_model import TABLE, class_loop
from tests.fakes.vector_model import embedding_loop, values_loop

SPEC = """
model: toy
features:
  - {name: size, type: number, nullable: true}
  - {name: count, type: integer}
  - {name: kind, type: category, values: [a, b]}
prediction: {kind: value}
outcome: {delay: 1h}
metric: {name: mae}
drift: {window: {every: 1d}}
retraining: {command: [python, train.py]}
gate: {holdout: 1d}
"""
LOOP = parse_loop_spec(SPEC)
PROBABILITY = LOOP.model_copy(update={"prediction": Prediction.model_validate({"kind": "probability"})})
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAIVE = datetime(2026, 1, 1)
DAY = timedelta(days=1)


def write(path: Path, **changed: Any) -> Path:
    """Three rows, the newest first."""
    columns: dict[str, Any] = {
        "event_time": [START + timedelta(hours=hour) for hour in (2, 1, 0)],
        "size": [2.5, None, 0.5],
        "count": [3, 2, 1],
        "kind": ["a", "b", "a"],
        "outcome": [1, 0, 1],
        **changed,
    }
    pq.write_table(pa.table({name: column for name, column in columns.items() if column is not None}), path)
    return path


def test_rows_are_sorted_and_cast(tmp_path: Path) -> None:
    table = read_rows(
        write(tmp_path / "rows.parquet", count=[3.0, 2.0, 1.0], more=["x", "y", "z"]), LOOP, NOW
    )
    assert table.column_names == ["event_time", "size", "count", "kind", "outcome", "prediction_id"]
    assert table["count"].to_pylist() == [1, 2, 3]
    assert table["size"].to_pylist() == [0.5, None, 2.5]
    assert table.schema.field("count").type == pa.int64()
    assert table.schema.field("event_time").type == pa.timestamp("us", tz="UTC")
    assert table["prediction_id"].to_pylist() == ["", "", ""]
    assert newest_time(table).isoformat() == "2026-01-01T02:00:00+00:00"


@pytest.mark.parametrize(
    "outcome", [["good", "bad", "good"], pa.array(["good", "bad", "good"]).dictionary_encode()]
)
def test_text_outcome_error_names_the_positive_class(tmp_path: Path, outcome: Any) -> None:
    with pytest.raises(ProjectError, match="column outcome is .*string.*; expected double") as raised:
        read_rows(write(tmp_path / "rows.parquet", outcome=outcome), PROBABILITY, NOW)
    assert "1 for the positive class and 0 for the other" in str(raised.value.hint)
    with pytest.raises(ProjectError) as raised:
        read_rows(write(tmp_path / "rows.parquet", outcome=outcome), LOOP, NOW)
    assert raised.value.hint == "write the column with that type"


def test_pandas_categoricals_become_plain_strings(tmp_path: Path) -> None:
    loop = parse_loop_spec(
        SPEC.replace("kind, type: category", "kind, nullable: true, type: category"), origin="test"
    )
    path = tmp_path / "rows.parquet"
    given = pq.read_table(write(path)).to_pandas()
    given["kind"] = pd.Categorical(["a", None, "b"], categories=["a", "b"])
    given.to_parquet(path)
    pq.write_table(read_rows(path, loop, NOW), path)
    kinds = pd.read_parquet(path)["kind"]
    assert kinds.dtype == object
    assert kinds.to_list() == ["b", None, "a"]


def test_times_are_read_in_utc(tmp_path: Path) -> None:
    times = pa.array([START + hour * timedelta(hours=1) for hour in (2, 1, 0)], pa.timestamp("ns", "-05:00"))
    table = read_rows(write(tmp_path / "rows.parquet", event_time=times), LOOP, NOW)
    assert table["event_time"].to_pylist()[0] == START


def test_missing_outcomes_are_kept(tmp_path: Path) -> None:
    table = read_rows(write(tmp_path / "rows.parquet", outcome=[1, None, 0]), PROBABILITY, NOW)
    assert table["outcome"].to_pylist() == [0.0, None, 1.0]


@pytest.mark.parametrize("outcome", [[1, 2, 1], [0.5, 1, 0], [float("inf"), 1, 0]])
def test_outcomes_that_do_not_fit_are_refused(tmp_path: Path, outcome: list[float]) -> None:
    with pytest.raises(ProjectError, match=r"column outcome contains .*; expected 0 or 1 for a probability"):
        read_rows(write(tmp_path / "rows.parquet", outcome=outcome), PROBABILITY, NOW)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": None}, "has no column kind; it has event_time, size"),
        ({"outcome": None}, "has no column outcome"),
        ({"count": [3, None, 1]}, "column count has missing values"),
        ({"count": ["three", "two", "one"]}, "column count is string; expected int64"),
        ({"count": [1.5, 2.0, 3.0]}, "column count is double; expected int64"),
        ({"event_time": ["yesterday", "today", "tomorrow"]}, "column event_time is string"),
        ({"event_time": [NAIVE] * 3}, "column event_time is timestamp[us], without a time zone"),
        ({"event_time": [START, NOW + 2 * DAY, START]}, "more than a day ahead of this machine's clock"),
        ({"event_time": [START, datetime(1969, 12, 31, tzinfo=UTC), START]}, "before 1970-01-02"),
        ({"event_time": pa.array([2**58] * 3, pa.timestamp("ms", "UTC"))}, "`event_time` is 9999-12-31"),
        ({"event_time": [START, None, START]}, "column event_time has missing values"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    path = write(tmp_path / "rows.parquet", **changed)
    with pytest.raises(ProjectError) as raised:
        read_rows(path, LOOP, NOW)
    assert raised.value.message.startswith(str(path))
    assert said in raised.value.message
    assert raised.value.hint


def test_other_format_and_empty_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("event_time,size")
    with pytest.raises(ProjectError, match="cannot be read as Parquet"):
        read_rows(tmp_path / "text.parquet", LOOP, NOW)
    pq.write_table(pq.read_table(write(tmp_path / "rows.parquet")).slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(ProjectError, match="has no rows"):
        read_rows(tmp_path / "none.parquet", LOOP, NOW)


def test_reference_has_the_newest_rows_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_REFERENCE_ROWS", 4)
    table = read_rows(write(tmp_path / "rows.parquet"), LOOP, NOW)
    kept = newest(table, table)
    assert kept["count"].to_pylist() == [3, 1, 2, 3]
    assert with_scores(kept, LOOP, np.array([0.1, 0.2, 0.3, 0.4]))["score"].to_pylist() == [
        0.1,
        0.2,
        0.3,
        0.4,
    ]


ANIMALS = class_loop()
DIGITS = class_loop((3, 5, 8))


def write_lines(path: Path, outcome: Any) -> Path:
    times = [START + timedelta(hours=hour) for hour in range(len(outcome))]
    pq.write_table(
        pa.table({"event_time": times, "line": list(range(len(outcome))), "outcome": outcome}), path
    )
    return path


@pytest.mark.parametrize(
    ("loop", "outcome", "expected"),
    [
        (ANIMALS, ["dog", None], ["dog", None]),
        (ANIMALS, pa.array(["dog", "cat"]).dictionary_encode(), ["dog", "cat"]),
        (DIGITS, [5, 8], [5, 8]),
        (DIGITS, [5.0, 8.0], [5, 8]),
    ],
)
def test_outcomes_of_classes_are_labels(
    tmp_path: Path, loop: LoopSpec, outcome: Any, expected: list[Any]
) -> None:
    table = read_rows(write_lines(tmp_path / "rows.parquet", outcome), loop, now=NOW)
    assert table["outcome"].to_pylist() == expected
    assert table.schema.field("outcome").type == (pa.string() if loop is ANIMALS else pa.int64())


@pytest.mark.parametrize(
    ("loop", "outcome", "said"),
    [
        (
            ANIMALS,
            ["dog", "fish"],
            "column outcome contains 'fish'; expected one of cat, dog, bird for a model with classes",
        ),
        (DIGITS, [5, 6], "column outcome contains 6; expected one of 3, 5, 8 for a model with classes"),
        (DIGITS, ["five"], "column outcome is string; expected int64"),
    ],
)
def test_outcome_that_is_no_label_is_named(tmp_path: Path, loop: LoopSpec, outcome: Any, said: str) -> None:
    with pytest.raises(ProjectError) as raised:
        read_rows(write_lines(tmp_path / "rows.parquet", outcome), loop, now=NOW)
    assert said in raised.value.message


def test_reference_of_classes_has_label_score_and_scores(tmp_path: Path) -> None:
    table = read_rows(write_lines(tmp_path / "rows.parquet", ["cat", "cat", "bird"]), ANIMALS, now=NOW)
    scored = with_scores(table, ANIMALS, TABLE)
    assert scored["label"].to_pylist() == ["cat", "dog", "bird"]
    assert scored["score"].to_pylist() == [0.75, 0.625, 0.625]
    assert scored["scores"].to_pylist() == TABLE.tolist()


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        (
            {"count": [3, None, 1]},
            "export the model with a float input for it (missing is NaN) and then make it `nullable` in loop.yaml",
        ),
        ({"kind": ["a", None, "b"]}, "set `nullable: true`"),
    ],
)
def test_advice_for_missing_values_fits_the_type(tmp_path: Path, column: dict[str, Any], advice: str) -> None:
    with pytest.raises(ProjectError, match="has missing values") as raised:
        read_rows(write(tmp_path / "rows.parquet", **column), LOOP, NOW)
    assert advice in raised.value.hint


def test_followed_advice_for_a_missing_integer_works(tmp_path: Path) -> None:
    nullable = Feature(name="count", type="integer", nullable=True)
    features = tuple(nullable if feature.name == "count" else feature for feature in LOOP.features)
    loop = LOOP.model_copy(update={"features": features})
    for column in (pa.array([3, None, 1], pa.int64()), pa.array([3.0, float("nan"), 1.0])):
        table = read_rows(write(tmp_path / "rows.parquet", count=column), loop, NOW)
        assert table["count"].to_pylist() == [1, None, 3]
    with pytest.raises(ProjectError, match="column count is double; expected int64"):
        read_rows(write(tmp_path / "rows.parquet", count=pa.array([3.0, float("nan"), 1.5])), loop, NOW)


TENSOR = LOOP.model_copy(update={"features": (Feature(name="v", type="tensor", shape=(2, 2)),)})


@pytest.mark.parametrize("row", [[1, 2, 3, 4], [[1, 2], [3, 4]], [1.0, 2.0, 3.0, 4.0]])
def test_tensor_columns_become_flat_lists(tmp_path: Path, row: list[Any]) -> None:
    table = read_rows(write(tmp_path / "rows.parquet", v=[row] * 3), TENSOR, NOW)
    assert table.schema.field("v").type == pa.list_(pa.float32())
    assert table["v"].to_pylist() == [[1.0, 2.0, 3.0, 4.0]] * 3


def test_tensor_rows_of_unequal_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ProjectError, match=r"rows\.parquet: column v .* row 0 has a list of 3 values, expected 4"
    ):
        read_rows(write(tmp_path / "rows.parquet", v=[[1.0] * 3, [1.0] * 5, [1.0] * 4]), TENSOR, NOW)


RANGES = values_loop(("low", "high"))
WHOLE, GAP = {"high": 4, "low": 1, "mid": 2}, {"high": None, "low": None, "mid": 2}


@pytest.mark.parametrize("missing", [None, GAP])
def test_outcomes_of_values_are_structs_with_the_names(tmp_path: Path, missing: Any) -> None:
    table = read_rows(write_lines(tmp_path / "rows.parquet", [WHOLE, missing]), RANGES, now=NOW)
    assert table.schema.field("outcome").type == pa.struct([("low", pa.float64()), ("high", pa.float64())])
    assert table["outcome"].to_pylist()[0] == {"low": 1.0, "high": 4.0}
    assert read_outcomes(RANGES.prediction, table["outcome"])[1].tolist() == pytest.approx(
        [np.nan, np.nan], nan_ok=True
    )


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ([1.0, 2.0], "column outcome is double; expected struct<low: double, high: double>"),
        ([{"low": 1.0}], "column outcome is struct<low: double>; expected struct<low: double, high: double>"),
        (
            [{"low": 1.0, "high": float("nan")}],
            "column outcome contains {'low': 1.0, 'high': nan}; "
            'expected an object with a finite number for each name: {"low": …, "high": …}',
        ),
    ],
)
def test_outcome_without_every_number_is_named(tmp_path: Path, outcome: Any, said: str) -> None:
    with pytest.raises(ProjectError) as raised:
        read_rows(write_lines(tmp_path / "rows.parquet", outcome), RANGES, now=NOW)
    assert said in raised.value.message


def test_rows_of_a_kind_without_loss_need_no_outcome(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.parquet", [1.0])
    pq.write_table(pq.read_table(path).drop_columns(["outcome"]), path)
    assert read_rows(path, embedding_loop(), now=NOW).column_names == ["event_time", "line", "prediction_id"]
    with pytest.raises(ProjectError, match="has no column outcome"):
        read_rows(path, RANGES, now=NOW)


def test_columns_of_other_names_are_named_with_what_to_rename(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", event_time=None, outcome=None, kind=None, default=[1, 0, 1])
    with pytest.raises(ProjectError) as raised:
        check_columns(path, LOOP)
    assert (
        raised.value.message == f"{path} has no column event_time, kind, outcome; it has size, count, default"
    )
    assert raised.value.hint == (
        "it needs event_time, outcome and one column per feature of loop.yaml; rename the column that holds the event times to "
        "event_time; rename the column that holds the outcomes to outcome"
    )


TIMED = LOOP.model_copy(update={"features": (*LOOP.features, Feature(name="opened", type="timestamp"))})


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_are_read_in_utc_whatever_their_time(tmp_path: Path, unit: str) -> None:
    opened = [datetime(1960, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC), START]
    column = pa.array(opened, pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, "Europe/Zurich"))
    table = read_rows(write(tmp_path / "rows.parquet", opened=column), TIMED, NOW)
    assert table.schema.field("opened").type == pa.timestamp("us", "UTC")
    assert table.column("opened").to_pylist() == opened[::-1]


@pytest.mark.parametrize(
    ("opened", "said"),
    [
        ([NAIVE] * 3, "column opened is timestamp[us], without a time zone"),
        (["2026-01-01T00:00:00Z"] * 3, "column opened is string"),
        ([START, None, START], "column opened has missing values"),
        (pa.array([0, 2**58, 0], pa.timestamp("ms", "UTC")), "opened has a time outside the years 1 to 9999"),
    ],
)
def test_wrong_timestamps_are_named(tmp_path: Path, opened: Any, said: str) -> None:
    with pytest.raises(ProjectError, match=re.escape(said)) as raised:
        read_rows(write(tmp_path / "rows.parquet", opened=opened), TIMED, NOW)
    assert raised.value.hint
