"""Warnings about columns of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from cli.deployment.review.columns import column_warnings
from tests.unit.cli.deployment.review.conftest import ROWS, MakeLoop, rows


def texts(*arguments: Any) -> list[str]:
    return [warning.text for warning in column_warnings(*arguments)]


def test_ordinary_columns_give_no_warning(make_loop: MakeLoop) -> None:
    assert texts(make_loop(), rows()) == []


def test_constant_columns_are_named_together(make_loop: MakeLoop) -> None:
    found = texts(make_loop(), rows(size=np.full(ROWS, 5.0), color=["red"] * ROWS))
    assert found == [
        "features: one value in all reference rows: size (5.0), color (red); drift cannot be compared with the usual "
        "variation of "
        "such a feature, and the model was validated on that value only; give reference rows in which it varies, or remove the "
        "feature"
    ]


def test_texts_of_one_length_are_constant(make_loop: MakeLoop) -> None:
    [found] = column_warnings(make_loop(), rows(note=["abc", "xyz"] * (ROWS // 2)))
    assert "note (length 3)" in found.message


def test_empty_column_is_named(make_loop: MakeLoop) -> None:
    assert texts(make_loop(), rows(size=pa.array([None, float("nan")] * (ROWS // 2), pa.float64()))) == [
        "features: every value in the reference is missing: size; drift of such a feature is not measured; give reference rows "
        "with values, or remove the feature"
    ]


def test_values_out_of_range_are_counted(make_loop: MakeLoop) -> None:
    size = np.linspace(0, 100, ROWS)
    size[:60] = 2000  # 2 %
    assert texts(make_loop(), rows(size=size)) == [
        "features.size: 2.0% of its reference values are outside of `minimum` and `maximum` (they go from 2.00067 to 2000); more "
        "than drift.out_of_range (0.01) is a data fault, so most verdicts would be `data_fault`; correct `minimum` and "
        "`maximum`, "
        "or correct the unit of the rows"
    ]
    size[30:60] = 50  # 1 %, which is tolerated
    assert texts(make_loop(), rows(size=size)) == []


def test_unlisted_categories_are_named(make_loop: MakeLoop) -> None:
    color = ["green", "red", "blue"] * (ROWS // 3)
    assert texts(make_loop(), rows(color=color)) == [
        "features.color: 33.3% of its reference values are not in `values` (green); inference refuses requests with such "
        "a value; "
        "add them to `values`, or set `unknown: serve`"
    ]
    served = {"name": "color", "type": "category", "values": ["red"], "unknown": "serve"}
    assert texts(make_loop(features=[served]), rows(color=color)) == []


def test_missing_outcomes_are_named(make_loop: MakeLoop) -> None:
    missing = pa.nulls(ROWS, pa.float64())
    assert texts(make_loop(), rows(outcome=missing)) == [
        "outcome: no reference row has an outcome, so the reference has no loss that performance can be compared with; give rows "
        "with outcomes"
    ]
    assert texts(make_loop(kind="tensor"), rows(outcome=missing)) == []


def test_outcomes_of_one_value_are_named(make_loop: MakeLoop) -> None:
    assert texts(make_loop(), rows(outcome=np.zeros(ROWS))) == [
        "outcome: every outcome in the reference is 0.0, so its loss says nothing about the others; give rows with all kinds of "
        "outcomes"
    ]


def test_constant_score_is_named(make_loop: MakeLoop) -> None:
    assert texts(make_loop(), rows(score=np.full(ROWS, 0.25))) == [
        "prediction: the model's score is 0.25 for every reference row; check prediction.output and the export of the model"
    ]


def test_tensors_and_booleans_are_read(make_loop: MakeLoop) -> None:
    loop = make_loop(
        features=[
            {"name": "image", "type": "tensor", "shape": [2]},
            {"name": "paid", "type": "boolean"},
            {"name": "count", "type": "integer", "minimum": 1},
        ]
    )
    made = rows(
        image=pa.array([[1.0, 2.0]] * ROWS, pa.list_(pa.float32())),
        paid=[True] * ROWS,
        count=pa.array([1, 2] * (ROWS // 2), pa.int64()),
    )
    [found] = column_warnings(loop, made)
    assert "in all reference rows: paid (True); drift" in found.message


def test_one_outcome_of_several_values_is_named(make_loop: MakeLoop) -> None:
    loop = make_loop(prediction={"kind": "values", "names": ["low", "high"]}, metric={"name": "mae"})
    one = [{"low": 1.0, "high": 2.0}, {"low": 1.0, "high": None}] * (ROWS // 2)
    [found] = column_warnings(loop, rows(outcome=pa.array(one)))
    assert found.message.startswith("every outcome in the reference is {'low': 1.0, 'high': 2.0}")
    other = [{"low": 1.0, "high": float(row)} for row in range(ROWS)]
    assert column_warnings(loop, rows(outcome=pa.array(other))) == []
