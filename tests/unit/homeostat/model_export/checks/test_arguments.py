from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from homeostat.model_export.checks.arguments import check_arguments, check_fits_model, check_rows
from shared.errors import ExportRefused

COLUMNS = ["age", "paid", "outcome", "event_time"]
DEFAULTS: dict[str, Any] = {
    "name": "",
    "outcome": "outcome",
    "event_time": "event_time",
    "features": None,
    "kind": "",
    "labels": None,
    "runtime": "onnxruntime",
    "tolerance": 1e-4,
    "allowed_share": 0.001,
    "outcome_delay": "1d",
}
NAME = "expected lowercase letters, digits, _ and -, beginning with a letter, at most 63 characters"
KIND = "expected 'probability' or 'value' or 'embedding', or leave it out"
TOLERANCE = "expected a number from 0 to less than 1; the default is 0.0001"
SHARE = "expected a number from 0 to less than 1; the default is 0.001"
DURATION = "expected a number and a unit of s, m, h or d, such as '90m' or '7d'"
COLUMN = "expected one of: age, paid, outcome, event_time"
OUTCOME = "expected the name of a column of the rows; of several values a list of names"
FEATURES = "expected names of columns of the rows, in the order of the fit"
LABELS = (
    "expected one label per class, in the order of the model's output, such as labels=['cat', 'dog', 'bird']"
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "My Model"}, f"name='My Model' is not a name of a model ({NAME})"),
        ({"kind": "class"}, f"kind='class' is unknown ({KIND})"),
        ({"kind": "classes"}, f"kind='classes' is unknown ({KIND})"),
        ({"tolerance": -1e-4}, f"tolerance=-0.0001 is out of range ({TOLERANCE})"),
        ({"tolerance": 1}, f"tolerance=1 is out of range ({TOLERANCE})"),
        ({"tolerance": float("nan")}, f"tolerance=nan is out of range ({TOLERANCE})"),
        ({"tolerance": True}, f"tolerance=True is out of range ({TOLERANCE})"),
        ({"tolerance": "1e-4"}, f"tolerance='1e-4' is out of range ({TOLERANCE})"),
        ({"allowed_share": 5}, f"allowed_share=5 is out of range ({SHARE})"),
        ({"outcome_delay": "soon"}, f"outcome_delay='soon' is not a duration ({DURATION})"),
        ({"outcome_delay": 7}, f"outcome_delay=7 is not a duration ({DURATION})"),
        ({"outcome": "label"}, f"outcome='label' is not a column of the rows ({COLUMN})"),
        ({"outcome": 3}, f"outcome=3 is neither a text nor a list of texts ({OUTCOME})"),
        ({"outcome": []}, f"outcome=[] is neither a text nor a list of texts ({OUTCOME})"),
        ({"event_time": "ts"}, f"event_time='ts' is not a column of the rows ({COLUMN})"),
        ({"features": "age"}, f"features='age' is not a list of texts ({FEATURES})"),
        (
            {"features": ["age", "size"]},
            "features= has 'size', which is not a column of the rows (expected some of: age, paid, outcome, event_time)",
        ),
        ({"features": ["age", "age"]}, "features= has 'age' twice (name each column once)"),
        ({"labels": "cat"}, f"labels='cat' is not a list of texts or whole numbers ({LABELS})"),
        ({"labels": [0.5, 1.5]}, f"labels=[0.5, 1.5] is not a list of texts or whole numbers ({LABELS})"),
        (
            {"labels": [False, True]},
            f"labels=[False, True] is not a list of texts or whole numbers ({LABELS})",
        ),
    ],
)
def test_argument_and_what_is_allowed_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        check_arguments(COLUMNS, **DEFAULTS | given)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": "fraud-2"},
        {"kind": "value"},
        {"tolerance": 0},
        {"tolerance": np.float32(0.01)},
        {"labels": np.array(["cat", "dog"])},
        {"labels": pd.Index([1, 2])},
        {"features": pd.Index(["age"])},
        {"outcome": ["age", "paid"]},
    ],
)
def test_usual_arguments_are_taken(given: dict[str, Any]) -> None:
    check_arguments(COLUMNS, **DEFAULTS | given)


def test_only_default_names_may_be_absent() -> None:
    check_arguments(["age"], **DEFAULTS)
    with pytest.raises(ExportRefused):
        check_arguments(["age"], **DEFAULTS | {"event_time": "time"})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"age": [1]}, "rows is a dict (expected a pandas.DataFrame or a pyarrow.Table with rows)"),
        (
            pd.DataFrame({"age": []}),
            "rows is empty (pass rows that the model can score, with their outcomes)",
        ),
        (
            pd.DataFrame([[1, 2]], columns=["age", "age"]),
            "the rows have two columns 'age' (rename one, or drop it)",
        ),
    ],
)
def test_rows_are_a_table_with_rows(rows: Any, said: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        check_rows(rows)
    assert str(refused.value) == said


NOTHING: dict[str, Any] = {
    "positive": None,
    "kind": "",
    "output": "",
    "labels": None,
    "runtime": "onnxruntime",
}


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (
            "value",
            {"positive": 1},
            "positive=1 is for a model of two classes; this one predicts one value (leave it out)",
        ),
        (
            "probability",
            {"kind": "value"},
            "kind='value' is for models of torch and ONNX; this one is of scikit-learn and predicts a probability "
            "(leave it out)",
        ),
        (
            "classes",
            {"labels": ["cat"]},
            "labels=['cat'] is for models of torch and ONNX; this one is of scikit-learn and predicts more than two "
            "classes (leave it out)",
        ),
        (
            "values",
            {"output": "scores"},
            "output='scores' is for models of torch and ONNX; this one is of scikit-learn and predicts several values "
            "(leave it out)",
        ),
    ],
)
def test_argument_without_effect_is_refused(kind: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        check_fits_model("scikit-learn", kind, None, takes_options=False, given=NOTHING | given)
    assert str(refused.value) == said


def test_positive_of_one_probability_is_its_class() -> None:
    check_fits_model("torch", "probability", 1, takes_options=True, given=NOTHING | {"positive": 1})
    with pytest.raises(ExportRefused) as refused:
        check_fits_model("torch", "probability", 1, takes_options=True, given=NOTHING | {"positive": 0})
    assert str(refused.value) == (
        "positive=0 is not the class of the one probability that the model returns, which is 1 "
        "(return a probability of each class, [N, 2], or leave it out)"
    )


def test_kind_that_the_model_has_is_taken() -> None:
    check_fits_model("XGBoost", "value", None, takes_options=False, given=NOTHING | {"kind": "value"})
    given = {"kind": "value", "output": "scores", "labels": ["a", "b"]}
    check_fits_model("ONNX", "probability", 1, takes_options=True, given=NOTHING | given)
