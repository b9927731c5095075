"""Every row that the lake cannot store is named, with line, field and what is wrong; others are as inference logs them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cli.history.raw_rows import RawRows, Refused, text_columns
from cli.history.validation import Columns
from shared.contracts.loop_yaml import parse_loop_spec
from shared.errors import ProjectError
from tests.unit.cli.history.conftest import LOOP, loop, validation

ROW = {
    "event_time": "2013-01-01T05:00:00-05:00",
    "distance": "3",
    "carrier": "AA",
    "note": "n",
    "outcome": "1",
}


def checked(*rows: dict[str, Any], spec: Any = None) -> tuple[pa.Table, list[Refused]]:
    return validation(spec=spec).checked(RawRows(text_columns(rows), range(2, 2 + len(rows))))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (
            "event_time",
            "2013-01-01T05:00:00",
            "is '2013-01-01T05:00:00'; expected a time, ISO 8601 with an offset",
        ),
        ("event_time", "2027-01-01T05:00:00Z", "expected a time from 1970-01-02 to one day after now"),
        ("event_time", None, "is missing"),
        ("distance", "three", "is 'three'; expected a number"),
        ("distance", "inf", "is infinite"),
        ("distance", "nan", "is missing; the feature is not `nullable`"),
        ("carrier", "DL", "is 'DL', which is not in `values` of loop.yaml"),
        ("outcome", "2", "is 2.0; expected 0 or 1"),
        ("outcome", "late", "is 'late'; expected a number"),
        ("observed_at", "2012-12-30T00:00:00Z", "more than a day before the row"),
        ("score", "high", "is 'high'; expected a number"),
    ],
)
def test_wrong_value_is_named_and_other_rows_are_kept(field: str, value: Any, problem: str) -> None:
    rows, refused = checked(ROW, {**ROW, field: value}, ROW)
    assert [(one.line, one.field) for one in refused] == [(3, field)]
    assert problem in refused[0].problem
    assert rows.num_rows == 2
    assert rows["event_time"].to_pylist() == [datetime(2013, 1, 1, 10, tzinfo=UTC)] * 2
    assert refused[0].text(Path("rows.csv")).startswith(f"rows.csv:3: {field}: ")


def test_personal_value_is_in_no_message() -> None:
    spec = parse_loop_spec(
        LOOP.replace("{name: distance, type: number}", "{name: distance, type: number, personal: true}"),
        origin="loop.yaml",
    )
    _, [refused] = checked({**ROW, "distance": "4711 Main St"}, spec=spec)
    assert "4711" not in refused.problem
    assert "is text; expected a number" in refused.problem


def test_types_of_parquet_are_converted_where_that_loses_nothing() -> None:
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    raw = RawRows(
        {
            "event_time": pa.array([moment] * 3, pa.timestamp("ns", "UTC")),
            "distance": pa.array([1, 2, 3], pa.int32()),
            "carrier": pa.array(["AA", "UA", "AA"]).dictionary_encode(),
            "outcome": pa.array([0.0, float("nan"), 1.0]),
        },
        range(1, 4),
    )
    rows, refused = validation().checked(raw)
    assert not refused
    assert rows["f_distance"].to_pylist() == [1.0, 2.0, 3.0]
    assert rows["has_outcome"].to_pylist() == [True, False, True]
    naive = RawRows({**raw.columns, "event_time": pa.array([moment.replace(tzinfo=None)] * 3)}, range(1, 4))
    _, refused = validation().checked(naive)
    assert len(refused) == 3
    assert "without a time zone" in refused[0].problem


def test_labels_and_values_by_name() -> None:
    head = LOOP.partition("prediction:")[0]
    tail = LOOP.partition("metric:")[2].partition("}")[2]
    classes = parse_loop_spec(
        f"{head}prediction: {{kind: classes, labels: [3, 5]}}\noutcome: {{delay: 2h}}\nmetric: {{name: log_loss}}{tail}",
        origin="a",
    )
    rows, refused = checked({**ROW, "outcome": "5"}, {**ROW, "outcome": "7"}, spec=classes)
    assert rows["label"].to_pylist() == ["5"]
    assert "expected one of 3, 5" in refused[0].problem
    several = parse_loop_spec(
        f"{head}prediction: {{kind: values, names: [low, high]}}\noutcome: {{delay: 2h}}\nmetric: {{name: mae}}{tail}",
        origin="a",
    )
    rows, refused = checked(
        {**ROW, "outcome": '{"high": 2, "low": 1}'}, {**ROW, "outcome": '{"low": 1}'}, spec=several
    )
    assert rows["values"].to_pylist() == [[("low", 1.0), ("high", 2.0)]]
    assert len(refused) == 1


def test_missing_column_names_those_of_the_file() -> None:
    with pytest.raises(ProjectError, match="has no column distance, note; it has event_time, carrier"):
        Columns().check(loop(), "rows.csv", ["event_time", "carrier"])
    assert Columns().check(loop(), "a", ["event_time", "distance", "carrier", "note", "extra"]) == ["extra"]
