from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from homeostat.model_export.columns import Column, infer_columns
from homeostat.model_export.loop_yaml import write_loop_yaml
from homeostat.model_export.prediction_kind import VALUE, PredictionKind, check_project, of_classes
from shared.contracts.feature import Feature
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from shared.errors import ExportRefused

ROWS = pd.DataFrame(
    {
        "shop": ["no", "it's", "on: # sale"],
        "amount": [1e-7, 3e20, 5.0],
        "age": [1, 2, 3],
        "late": [True, False, True],
    }
)


# Among them line breaks, control characters, a private use, and what JSON escapes as two characters.
_PLACES = [
    *range(1, 0x100),
    *range(0x100, 0xD800, 31),
    *range(0x2000, 0x2070),
    *range(0xE000, 0x10000, 17),
    0x1F600,
    0x10FFFF,
]


def written(
    kind: PredictionKind = VALUE,
    event_times: pd.Series[pd.Timestamp] | None = None,
    loss: float | None = None,
    rows: int = 3,
) -> LoopSpec:
    text = write_loop_yaml(
        model="fraud",
        library="scikit-learn",
        columns=infer_columns(ROWS, list(ROWS.columns)),
        kind=kind,
        event_times=event_times,
        rows=rows,
        outcome_delay="3d",
        loss=loss,
    )
    return parse_loop_spec(text)


def test_what_is_written_is_read_back_the_same() -> None:
    loop = written()
    assert loop.features == tuple(column.feature for column in infer_columns(ROWS, list(ROWS.columns)))
    assert (loop.model, loop.prediction.kind, loop.require_performance().metric.name) == (
        "fraud",
        "value",
        "rmse",
    )
    assert loop.require_performance().outcome.delay.days == 3
    # No training command is there yet, so no run may start.
    assert loop.automation == "observe"


def test_categories_of_any_characters_are_read_back_the_same() -> None:
    values = [text for place in _PLACES for text in (chr(place), f"c{chr(place)}d")]
    features = [
        Column(
            f"part_{place}",
            Feature(name=f"part_{place}", type="category", values=tuple(values[place : place + 500])),
        )
        for place in range(0, len(values), 500)
    ]
    text = write_loop_yaml(
        model="fraud",
        library="scikit-learn",
        columns=features,
        kind=VALUE,
        event_times=None,
        rows=3,
        outcome_delay="3d",
    )
    assert [one for feature in parse_loop_spec(text).features for one in feature.values] == values
    # Letters stay legible.
    assert '"céd"' in text


@pytest.mark.parametrize(
    ("loss", "tolerated"), [(15.4321, 0.77), (3.4e-9, 1.7e-10), (0.0, 0.02), (None, 0.02)]
)
def test_a_regression_tolerates_a_share_of_its_loss(loss: float | None, tolerated: float) -> None:
    assert written(loss=loss).drift.loss_increase == tolerated


@pytest.mark.parametrize(("rows", "minimum"), [(3, 20), (150, 150), (5000, 200)])
def test_a_window_needs_no_more_rows_than_are_exported(rows: int, minimum: int) -> None:
    assert written(rows=rows).drift.window.minimum_rows == minimum


def test_a_probability_keeps_the_default_tolerance() -> None:
    loop = written(of_classes([0, 1]), loss=5.0)
    assert "loss_increase" not in loop.drift.model_fields_set


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (["ok", "complaint"], "complaint"),
        (["no", "yes"], "yes"),
        ([0, 1], None),
        ([False, True], None),
        ([1, 2], 2),
        ([1.0, 2.0], 2),
        ([0.25, 0.5], "0.5"),
        (["a", ""], "''"),
        (["a", "b\nmodel: other"], r"'b\nmodel: other'"),
        (["a", "b" * 300], "'" + "b" * 99),
    ],
)
def test_positive_class_is_written_unless_it_is_one(classes: list[Any], positive: int | str | None) -> None:
    loop = written(of_classes(classes))
    assert (loop.model, loop.prediction.positive) == ("fraud", positive)
    check_project(of_classes(classes), loop.prediction)
    with pytest.raises(ExportRefused, match="outcome 1"):
        check_project(of_classes(classes, positive=classes[0]), loop.prediction)


@pytest.mark.parametrize(
    ("rows", "apart", "window"),
    [(1000, "1s", "1h"), (1000, "2min", "1d"), (2000, "5min", "1d"), (50, "1d", "30d"), (2, "0s", "1d")],
)
def test_a_window_is_long_enough_for_its_rows(rows: int, apart: str, window: str) -> None:
    times = pd.Series(pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(apart) * pd.RangeIndex(rows))
    every = written(event_times=times).drift.window.every
    assert every == pd.to_timedelta(window).to_pytimedelta()


def test_rows_per_window_are_a_comment() -> None:
    times = pd.Series(pd.date_range("2026-01-01", periods=4000, freq="5min", tz="UTC"))
    text = write_loop_yaml(
        model="fraud",
        library="scikit-learn",
        columns=infer_columns(ROWS, list(ROWS.columns)),
        kind=VALUE,
        event_times=times,
        rows=4000,
        outcome_delay="3d",
    )
    assert "every: 1d, minimum_rows: 200}   # 288 rows a day in these rows: 288 per window" in text
