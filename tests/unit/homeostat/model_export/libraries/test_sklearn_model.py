from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, VotingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import homeostat
from homeostat.model_export.libraries.sklearn_model import SklearnModel
from shared.errors import ExportRefused

ROWS = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0.0, 1.0, 0.0]})


def test_a_model_knows_the_columns_of_its_fit() -> None:
    named = SklearnModel(LinearRegression().fit(ROWS[["b", "a"]], [1, 2, 3]))
    assert named.column_names(ROWS, ["a", "b", "c"]) == ["b", "a"]
    unnamed = SklearnModel(LinearRegression().fit(ROWS.to_numpy(), [1, 2, 3]))
    assert unnamed.column_names(ROWS, ["a", "b"]) == ["a", "b"]
    with pytest.raises(ExportRefused, match="2 columns without names; the rows have 3"):
        unnamed.column_names(ROWS, ["a", "b", "c"])


def test_columns_that_a_pipeline_drops_are_no_features(tmp_path: Path) -> None:
    """It is often fitted on frames that hold the outcome and more."""
    rows = pd.DataFrame({"id": range(60), "a": np.arange(60.0), "outcome": [0, 1] * 30})
    columns = ColumnTransformer([("a", StandardScaler(), ["a"]), ("none", "drop", ["id"])])
    for last in (LogisticRegression(), DecisionTreeClassifier()):
        model = make_pipeline(columns, last).fit(rows, rows["outcome"])
        assert SklearnModel(model).column_names(rows, []) == ["a"]
        with pytest.warns(homeostat.ExportWarning, match="event_time"):
            report = homeostat.export(model, rows, tmp_path / type(last).__name__)
        assert report.comparisons[0].differing == 0


def test_refusal_of_a_nested_estimator_is_reported_once(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": np.arange(60.0), "outcome": np.arange(60.0) % 7})
    part = GradientBoostingRegressor(n_estimators=2, init=LinearRegression())
    model = VotingRegressor([("all", VotingRegressor([("boosted", part)]))]).fit(rows[["a"]], rows["outcome"])
    alone = part.fit(rows[["a"]], rows["outcome"])
    found = []
    for one in (alone, model):
        with pytest.raises(ExportRefused) as refused:
            homeostat.export(one, rows, tmp_path)
        found.append((refused.value.message, refused.value.hint))
    assert found[0] == found[1]


def test_a_classifier_without_probabilities_is_refused() -> None:
    with pytest.raises(ExportRefused, match="RidgeClassifier has no predict_proba.*CalibratedClassifierCV"):
        SklearnModel(RidgeClassifier().fit(ROWS, [0, 1, 1]))


def test_a_transformer_is_no_model() -> None:
    with pytest.raises(ExportRefused, match="StandardScaler is neither a classifier nor a regressor"):
        SklearnModel(StandardScaler().fit(ROWS))


def test_several_values_per_row_are_refused() -> None:
    model = SklearnModel(LinearRegression().fit(ROWS, np.ones((3, 2))))
    with pytest.raises(ExportRefused, match="several values per row"):
        model.score(ROWS)
