"""Metrics of one's own: exact values, missing values, and errors that name their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from shared.contracts.feature import Feature
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.prediction import Prediction
from shared.contracts.slices.custom_metric import CustomMetric
from tests.fakes.retraining_installation import loop_with

FEATURES = (
    Feature(name="amount", type="number", nullable=True),
    Feature(name="country", type="category", values=("FR", "IT")),
)
PROBABILITY = Prediction(kind="probability")


def metric(cases: list[dict[str, Any]], otherwise: float = 0.0) -> CustomMetric:
    return CustomMetric.model_validate({"name": "cost", "cases": cases, "otherwise": otherwise})


def test_the_first_case_that_is_true_counts() -> None:
    cost = metric(
        [
            {"where": 'country == "IT"', "value": 7},
            {"where": "score > 0.3 and outcome == 0", "value": 5},
            {"where": "outcome == 1 and score <= 0.3", "value": 2, "times": "amount"},
        ],
        otherwise=-1,
    )
    rows = pa.table(
        {
            "score": [0.9, 0.9, 0.1, 0.1, 0.9, None, 0.1, 0.9],
            "outcome": [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, None, 1.0],
            "f_amount": [1.0, 1.0, 10.0, None, 1.0, 1.0, 1.0, float("nan")],
            "f_country": ["IT", "FR", "FR", "FR", "FR", "FR", "FR", "FR"],
        }
    )
    found = cost.values(rows, FEATURES, PROBABILITY, prefix="f_")
    nan = float("nan")
    # No amount to multiply with, no answer, no outcome: such rows do not count.
    np.testing.assert_array_equal(found, [7, 5, 20, nan, -1, nan, nan, -1])
    assert cost.features(FEATURES, PROBABILITY) == {"amount", "country"}


def test_a_value_beyond_floating_point_does_not_count() -> None:
    rows = pa.table({"score": [0.9, 0.9], "outcome": [0.0, 0.0], "amount": [1.0, 100.0]})
    found = metric([{"where": "outcome == 0", "value": 1e307, "times": "amount"}]).values(
        rows, FEATURES, PROBABILITY
    )
    np.testing.assert_array_equal(found, [1e307, float("nan")])


def test_classes_have_a_cost_for_each_mistake() -> None:
    kind = Prediction(kind="classes", labels=("low", "high"))
    cost = metric(
        [
            {"where": 'label == "low" and outcome == "high"', "value": 100},
            {"where": "label != outcome", "value": 1},
        ]
    )
    rows = pa.table({"label": ["low", "high", "high", "low"], "value": ["high", "low", "high", None]})
    np.testing.assert_array_equal(
        cost.values(rows, FEATURES, kind, outcome="value"), [100, 1, 0, float("nan")]
    )


def test_numbered_classes_are_compared_as_text() -> None:
    kind = Prediction(kind="classes", labels=(0, 1))
    rows = pa.table({"label": ["0", "1"], "outcome": pa.array([1, 1], pa.int64())})
    assert metric([{"where": "label != outcome", "value": 3}]).values(rows, FEATURES, kind).tolist() == [3, 0]


@pytest.mark.parametrize(
    ("custom", "problem"),
    [
        ([{"name": "c", "cases": []}], "custom_metrics.0.cases"),
        (
            [{"name": "c", "cases": [{"where": "scor > 1", "value": 1}]}],
            "custom_metrics.0.cases.0.where is not a condition: at character 1: scor is not a feature; did you mean score",
        ),
        (
            [{"name": "c", "cases": [{"where": "x > 1", "value": 1, "times": "color"}]}],
            "custom_metrics.0.cases.0.times is color; expected one of score, outcome, x",
        ),
        (
            [{"name": "brier", "cases": [{"where": "x > 1", "value": 1}]}],
            "custom_metrics.0.name is brier, which is the name of another metric",
        ),
        (
            [{"name": "c", "cases": [{"where": "x > 1", "value": 1}]}] * 2,
            "custom_metrics.1.name is c, which is the name of another metric",
        ),
        (
            [{"name": f"c{n}", "cases": [{"where": "x > 1", "value": 1}]} for n in range(11)],
            "custom_metrics names 11 metrics; at most 10 are measured",
        ),
    ],
)
def test_what_does_not_fit_is_named(custom: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(ValidationError) as raised:
        LoopSpec.model_validate(loop_with(custom_metrics=custom))
    assert problem in str(raised.value)


def test_personal_features_are_refused() -> None:
    features = [{"name": "age", "type": "number", "personal": True}]
    custom = [{"name": "c", "cases": [{"where": "outcome == 1", "value": 1, "times": "age"}]}]
    with pytest.raises(ValidationError, match=r"custom_metrics.0 reads age, which is personal"):
        LoopSpec.model_validate(loop_with(features=features, custom_metrics=custom))


def test_a_kind_of_several_values_is_refused() -> None:
    document = loop_with(custom_metrics=[{"name": "c", "cases": [{"where": "x > 1", "value": 1}]}])
    document |= {"prediction": {"kind": "values", "names": ["low", "high"]}, "metric": {"name": "mae"}}
    with pytest.raises(ValidationError, match="custom_metrics does not fit a prediction of kind values"):
        LoopSpec.model_validate(document)


def test_a_manifest_from_before_keeps_its_bytes() -> None:
    assert "custom_metrics" not in LoopSpec.model_validate(loop_with()).model_dump(mode="json")
    case = {"where": "score > 0.5", "value": 1.0}
    custom = [{"name": "c", "cases": [case], "otherwise": 0.0}]
    assert (
        LoopSpec.model_validate(loop_with(custom_metrics=custom)).model_dump(mode="json")["custom_metrics"]
        == custom
    )
