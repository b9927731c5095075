from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

import homeostat
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ExportRefused
from shared.models.onnx_runner import OnnxModel


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(11)
    rows = pd.DataFrame({"amount": random.normal(size=600), "age": random.integers(18, 90, 600)})
    rows["value"] = np.exp(rows["amount"] + rows["age"] / 60 + random.normal(scale=0.2, size=600))
    rows["outcome"] = np.where(rows["value"] > 2, "late", "early")
    rows["event_time"] = pd.date_range("2026-01-01", periods=600, freq="h", tz="UTC")
    return rows


@pytest.mark.parametrize("positive", ["late", "early"])
@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(20, random_state=1),
        DecisionTreeClassifier(random_state=1),
        GradientBoostingClassifier(n_estimators=20),
        GradientBoostingClassifier(n_estimators=20, init="zero"),
        HistGradientBoostingClassifier(max_iter=20),
    ],
)
def test_classifier(model: Any, positive: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    model.fit(rows[["amount", "age"]], rows["outcome"])
    assert_equal(homeostat.export(model, rows, tmp_path, positive=positive))


@pytest.mark.parametrize(
    "model",
    [
        RandomForestRegressor(20, random_state=1),
        ExtraTreesRegressor(5, random_state=1),
        GradientBoostingRegressor(n_estimators=20),
        GradientBoostingRegressor(n_estimators=20, loss="quantile"),
        HistGradientBoostingRegressor(max_iter=20),
        HistGradientBoostingRegressor(max_iter=20, loss="gamma"),
    ],
)
def test_regressor(model: Any, rows: pd.DataFrame, tmp_path: Path) -> None:
    model.fit(rows[["amount", "age"]], rows["value"])
    assert_equal(homeostat.export(model, rows, tmp_path, outcome="value"))


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(20, random_state=1),
        GradientBoostingClassifier(n_estimators=10),
        HistGradientBoostingClassifier(max_iter=10),
        LogisticRegression(max_iter=2000),
    ],
)
@pytest.mark.parametrize("labels", [["calm", "late", "lost"], [10, 20, 30]])
def test_several_classes(
    model: Any, labels: list[str] | list[int], rows: pd.DataFrame, tmp_path: Path
) -> None:
    outcome = pd.cut(rows["value"], [0, 1.5, 3, np.inf], labels=labels).astype(type(labels[0]))
    model.fit(rows[["amount", "age"]], outcome)
    report = homeostat.export(model, rows.assign(outcome=outcome), tmp_path)
    assert_equal(report)
    loop = read_loop_spec(tmp_path)
    assert (loop.prediction.kind, list(loop.prediction.labels)) == ("classes", labels)
    reference = pq.read_table(tmp_path / "reference.parquet")
    assert reference["outcome"].to_pylist() == outcome.tolist()
    scores = OnnxModel(tmp_path / "model.onnx", loop).score(reference)
    assert scores.shape == (600, 3)
    expected = log_loss(outcome, model.predict_proba(rows[["amount", "age"]]), labels=labels)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics == {"log_loss": pytest.approx(expected, abs=1e-4)}


def test_missing_values_take_the_side_of_the_fit(rows: pd.DataFrame, tmp_path: Path) -> None:
    holes = rows.assign(amount=rows["amount"].where(rows["age"] % 7 != 0))
    for model in (RandomForestClassifier(10, random_state=1), HistGradientBoostingClassifier(max_iter=10)):
        model.fit(holes[["amount", "age"]], holes["outcome"])
        report = homeostat.export(model, holes, tmp_path / type(model).__name__)
        assert [one.name for one in report.comparisons][-1] == "missing values"
        assert_equal(report)


def test_categoricals_of_pandas(rows: pd.DataFrame, tmp_path: Path) -> None:
    given = rows.assign(
        shop=pd.Categorical(rows["age"].map(lambda age: [None, "web", "mall", "corner"][age % 4])),
        day=pd.Categorical((rows["age"] % 5 + 3).where(rows["age"] % 11 != 0).astype("Int64")),
        days=(rows["age"] * 2).where(rows["age"] % 13 != 0).astype("Int64"),
    )
    model = HistGradientBoostingClassifier(max_iter=30, categorical_features="from_dtype")
    model.fit(given[["shop", "amount", "day", "days"]], given["age"] % 4 > 1)
    report = homeostat.export(model, given.assign(outcome=given["age"] % 4 > 1), tmp_path)
    assert [one.name for one in report.comparisons][-2:] == ["unseen categories", "missing values"]
    assert_equal(report)


def test_gradient_boosting_on_another_estimator_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = GradientBoostingClassifier(n_estimators=2, init=DecisionTreeClassifier(max_depth=2))
    model.fit(rows[["amount", "age"]], rows["outcome"])
    with pytest.raises(ExportRefused, match="init="):
        homeostat.export(model, rows, tmp_path)


def assert_equal(report: homeostat.ExportReport) -> None:
    assert [(one.differing, one.problem) for one in report.comparisons] == [(0, "")] * len(report.comparisons)
    assert all(one.largest < 1e-5 for one in report.comparisons)
