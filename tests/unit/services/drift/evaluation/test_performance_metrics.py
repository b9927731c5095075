from __future__ import annotations

import doctest

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from services.drift.evaluation import answered as answered_module
from services.drift.evaluation import performance_metrics
from services.drift.evaluation.answered import Answered, answered
from services.drift.evaluation.performance_metrics import measure
from shared.contracts.prediction import METRICS

RANDOM = np.random.default_rng(7)
P = RANDOM.beta(2, 5, 500)
HAPPENED = (RANDOM.random(500) < P).astype(float)
CLASSES = RANDOM.dirichlet([2.0, 1.0, 1.0], 400)
TRUE = np.array([RANDOM.choice(3, p=row) for row in CLASSES], dtype=float)
VALUES = RANDOM.normal(5, 2, 300)
REAL = VALUES + RANDOM.normal(0, 1, 300)


def rows(kind: str) -> Answered:
    if kind == "classes":
        return answered(CLASSES, TRUE)
    if kind == "probability":
        return answered(P, HAPPENED)
    if kind == "value":
        return answered(VALUES, REAL)
    return answered(np.stack([VALUES, VALUES], axis=1), np.stack([REAL, REAL], axis=1))


def named(metric: str) -> str:
    return "quantile_loss(0.9)" if metric == "quantile_loss" else metric


@pytest.mark.parametrize("kind", ["probability", "classes", "value", "values"])
def test_every_metric_of_a_kind_has_a_value(kind: str) -> None:
    found = {metric: measure(named(metric), rows(kind)) for metric in METRICS[kind]}
    assert [metric for metric, value in found.items() if value is None] == []


@pytest.mark.parametrize(
    ("kind", "metric", "expected"),
    [
        ("probability", "log_loss", sklearn_metrics.log_loss(HAPPENED, P)),
        ("probability", "brier", sklearn_metrics.brier_score_loss(HAPPENED, P)),
        ("probability", "precision", sklearn_metrics.precision_score(HAPPENED, P > 0.5)),
        ("probability", "recall", sklearn_metrics.recall_score(HAPPENED, P > 0.5)),
        ("classes", "log_loss", sklearn_metrics.log_loss(TRUE, CLASSES)),
        ("classes", "accuracy", (CLASSES.argmax(axis=1) == TRUE).mean()),
        ("classes", "f1", sklearn_metrics.f1_score(TRUE, CLASSES.argmax(axis=1), average="macro")),
        ("classes", "brier", np.square(CLASSES - np.eye(3)[TRUE.astype(int)]).sum(axis=1).mean()),
        ("value", "mape", sklearn_metrics.mean_absolute_percentage_error(REAL, VALUES)),
        ("value", "rmse", sklearn_metrics.root_mean_squared_error(REAL, VALUES)),
        ("values", "r2", sklearn_metrics.r2_score(REAL, VALUES)),
    ],
)
def test_a_metric_is_the_fields_own(kind: str, metric: str, expected: float) -> None:
    assert measure(metric, rows(kind)) == pytest.approx(expected, abs=1e-9)


def test_rows_without_an_outcome_do_not_count() -> None:
    holes = np.where(np.arange(500) % 2, HAPPENED, np.nan)
    half = np.arange(500) % 2 == 1
    assert measure("auc", answered(P, holes)) == measure("auc", answered(P[half], HAPPENED[half]))


@pytest.mark.parametrize(
    ("metric", "outcomes"),
    [
        ("auc", np.zeros(4)),
        ("average_precision", np.ones(4)),
        ("recall", np.zeros(4)),
        ("mape", np.zeros(4)),
        ("r2", np.ones(4)),
        ("mae", np.full(4, np.nan)),
    ],
)
def test_what_is_not_defined_has_no_value(metric: str, outcomes: np.ndarray) -> None:
    assert measure(metric, Answered(np.array([0.1, 0.9, 0.2, 0.3]), outcomes)) is None


@pytest.mark.parametrize("module", [answered_module, performance_metrics])
def test_examples_in_docstrings(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert (results.failed, results.attempted > 0) == (0, True)
