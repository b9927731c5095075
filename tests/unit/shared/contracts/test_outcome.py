"""Outcomes that fit a prediction: one value and a column are decided alike."""

from __future__ import annotations

import pyarrow as pa
import pytest

from shared.contracts.outcome import expected_outcome, fits, fitting, numbers_by_name, numbers_of
from shared.contracts.prediction import Prediction

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


RANGES = Prediction(kind="values", names=("low", "high"))


def test_outcome_of_values_has_a_number_for_each_name() -> None:
    good = {"high": 2, "low": 1.5}
    assert numbers_by_name(RANGES, good) == {"low": 1.5, "high": 2.0}
    bad: list[object] = [None, 1.0, [1.0, 2.0], {"low": 1.0}, {"low": 1.0, "high": 2.0, "mid": 1.5}]
    bad += [{"low": 1.0, "high": value} for value in (None, True, "2", NAN, INF, 10**400)]
    assert [numbers_by_name(RANGES, value) for value in bad] == [None] * len(bad)
    assert expected_outcome(RANGES) == 'an object with a finite number for each name: {"low": …, "high": …}'


@pytest.mark.parametrize(
    "kind",
    [pa.struct([("high", pa.float64()), ("low", pa.float64())]), pa.map_(pa.string(), pa.float64())],
)
def test_outcomes_of_values_fit_if_every_number_is_finite(kind: pa.DataType) -> None:
    rows: list[dict[str, float | None] | None] = [
        {"low": 1.0, "high": 2.0},
        {"low": 1.0, "high": NAN},
        {"low": None, "high": 2.0},
        None,
    ]
    given = [row and list(row.items()) for row in rows] if pa.types.is_map(kind) else rows
    column = pa.chunked_array([pa.array(given[:1], kind), pa.array(given[1:], kind)])
    assert fitting(RANGES, column).to_pylist() == [True, False, False, False]
    assert numbers_of("low", column).to_pylist() == [1.0, 1.0, None, None]
