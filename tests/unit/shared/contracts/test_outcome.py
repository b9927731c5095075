"""Outcomes that fit a prediction: one value and a column are decided alike."""

from __future__ import annotations

import pyarrow as pa
import pytest

from shared.contracts.loop_spec import Prediction
from shared.contracts.outcome import expected_outcome, fits, fitting

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "good", "bad", "expected"),
    [
        ("probability", [0.0, 1.0], [0.5, 2.0, -1.0, NAN, INF], "0 or 1"),
        ("value", [0.5, -3.0, 1e300], [NAN, INF, -INF], "a finite number"),
        ("tensor", [0.5], [NAN], "a finite number"),
    ],
)
def test_outcome_fits_by_kind(kind: str, good: list[float], bad: list[float], expected: str) -> None:
    prediction = Prediction.model_validate({"kind": kind})
    column = pa.chunked_array([pa.array([*good, *bad, None], pa.float64())])
    assert [fits(prediction, value) for value in (*good, *bad)] == [True] * len(good) + [False] * len(bad)
    assert fitting(prediction, column).to_pylist() == [True] * len(good) + [False] * (len(bad) + 1)
    assert expected_outcome(prediction) == expected


@pytest.mark.parametrize("labels", [("3", "5"), (3, 5)])
def test_outcome_of_classes_is_a_label(labels: tuple[int | str, ...]) -> None:
    prediction = Prediction(kind="classes", labels=labels)
    for column in (pa.array(["3", "5", "4", None]), pa.array([3, 5, 4, None])):
        assert fitting(prediction, pa.chunked_array([column])).to_pylist() == [True, True, False, False]
    assert expected_outcome(prediction) == "one of 3, 5"
    many = Prediction(kind="classes", labels=tuple(range(30)))
    assert expected_outcome(many).endswith("18, 19, …")
