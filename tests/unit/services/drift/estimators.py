"""Estimators of performance that tests share: a fit takes longer than most windows, and few references are used."""

from __future__ import annotations

import pickle

import pytest

from services.drift.evaluation import reference_profile
from services.drift.evaluation.columns import Rows
from services.drift.evaluation.estimated_performance import PerformanceEstimator, fit_estimator
from shared.contracts.loop_spec import LoopSpec

_fitted: dict[bytes, PerformanceEstimator | None] = {}


def fit_once(loop: LoopSpec, rows: Rows) -> PerformanceEstimator | None:
    """As `fit_estimator`, and the first result for the same specification and rows."""
    key = pickle.dumps((loop.model_dump_json(), rows))
    if key not in _fitted:
        _fitted[key] = fit_estimator(loop, rows)
    return _fitted[key]


@pytest.fixture(autouse=True)
def equal_references_are_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_profile, "fit_estimator", fit_once)
