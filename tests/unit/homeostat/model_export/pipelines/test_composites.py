from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

import homeostat
from homeostat.model_export.pipelines.composites import read_composite, unwrapped
from shared.errors import ExportRefused


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(5)
    amount, shop = random.gamma(2, 50, 400), random.choice(["corner", "mall", "web"], 400)
    score = amount / 100 + (shop == "web") + random.normal(scale=0.3, size=400)
    return pd.DataFrame(
        {
            "shop": shop,
            "amount": amount,
            "outcome": (score > 1.3).astype(int),
            "three": pd.cut(score, 3, labels=["low", "middle", "high"]).astype(str),
            "event_time": pd.date_range("2026-01-01", periods=400, freq="h", tz="UTC"),
        }
    )


def columns(estimator: Any) -> Pipeline:
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(
        ColumnTransformer([("shop", encoder, ["shop"]), ("amount", StandardScaler(), ["amount"])]), estimator
    )


def parts() -> list[tuple[str, Any]]:
    return [
        ("boosting", HistGradientBoostingClassifier(max_iter=3)),
        ("forest", RandomForestClassifier(3, random_state=1)),
        ("linear", LogisticRegression()),
    ]


def calibrated(method: str) -> CalibratedClassifierCV:
    return CalibratedClassifierCV(columns(HistGradientBoostingClassifier(max_iter=3)), cv=2, method=method)


@pytest.mark.parametrize("outcome", ["outcome", "three"])
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(
            VotingClassifier([(name, columns(part)) for name, part in parts()], voting="soft"), id="voting"
        ),
        pytest.param(
            columns(VotingClassifier(parts(), voting="soft", weights=[3, 1, 1])), id="voting in a pipeline"
        ),
        pytest.param(columns(StackingClassifier(parts(), cv=2)), id="stacking in a pipeline"),
        pytest.param(calibrated("sigmoid"), id="sigmoid"),
        pytest.param(calibrated("isotonic"), id="isotonic"),
        pytest.param(CalibratedClassifierCV(columns(LinearSVC()), cv=2), id="linear support vectors"),
        pytest.param(
            StackingClassifier([("a", columns(LinearSVC())), ("b", columns(RidgeClassifier()))], cv=2),
            id="stacking of classifiers without probabilities",
        ),
    ],
)
def test_parts_with_steps_of_their_own(rows: pd.DataFrame, tmp_path: Path, model: Any, outcome: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", homeostat.ExportWarning)
        fitted = model.fit(rows[["shop", "amount"]], rows[outcome])
        report = homeostat.export(fitted, rows, tmp_path, name="parts", outcome=outcome)
    assert [(one.name, one.differing) for one in report.comparisons] == [
        ("the rows", 0),
        ("values beyond the range", 0),
        ("unseen categories", 0),
    ]
    assert {column.name for column in report.columns} == {"shop", "amount"}


def test_first_class_may_be_the_positive_one(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = columns(VotingClassifier(parts(), voting="soft")).fit(rows[["shop", "amount"]], rows["outcome"])
    report = homeostat.export(model, rows, tmp_path, name="parts", positive=0)
    assert [one.differing for one in report.comparisons] == [0, 0, 0]


def test_columns_that_no_part_reads_are_left_out(rows: pd.DataFrame, tmp_path: Path) -> None:
    """A calibrated pipeline is often fitted on frames that hold the outcome and the time too."""
    fitted = calibrated("sigmoid").fit(rows, rows["outcome"])
    report = homeostat.export(fitted, rows, tmp_path, name="parts")
    assert {column.name for column in report.columns} == {"shop", "amount"}


def test_search_and_nested_pipelines_are_unwrapped(rows: pd.DataFrame) -> None:
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [1]}, cv=2
    )
    model = make_pipeline(StandardScaler(), search).fit(rows[["amount"]], rows["outcome"])
    assert [type(step).__name__ for _, step in unwrapped(model).steps] == [
        "StandardScaler",
        "StandardScaler",
        "LogisticRegression",
    ]
    assert unwrapped(search.estimator) is search.estimator


def test_part_that_missed_a_class_is_refused(rows: pd.DataFrame) -> None:
    model = VotingClassifier(parts(), voting="soft").fit(rows[["amount"]], rows["three"])
    model.estimators_[0] = HistGradientBoostingClassifier(max_iter=1).fit(rows[["amount"]], rows["outcome"])
    with pytest.raises(ExportRefused, match="was fitted on 2 of 3 classes"):
        read_composite(model, classes=3)


@pytest.mark.parametrize(("share", "is_read"), [(1.0, True), (0.5, False)])
def test_bagging_on_some_of_the_columns_is_no_mean_of_parts(
    rows: pd.DataFrame, share: float, is_read: bool
) -> None:
    """Each part takes columns of its own."""
    numbers = np.stack([rows["amount"], rows["amount"] ** 2], axis=1)
    model = BaggingClassifier(LogisticRegression(), n_estimators=3, max_features=share, random_state=1)
    assert (read_composite(model.fit(numbers, rows["outcome"]), classes=0) is not None) == is_read
