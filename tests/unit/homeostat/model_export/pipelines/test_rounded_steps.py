from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

import homeostat
from homeostat.model_export.pipelines.rounded_steps import apart, last_on_left


@pytest.mark.parametrize(
    "last", [HistGradientBoostingClassifier(max_iter=20), RandomForestClassifier(10, random_state=1)]
)
@pytest.mark.parametrize(
    "step",
    [FunctionTransformer(np.log1p), make_pipeline(StandardScaler(), PolynomialFeatures(2))],
    ids=["log1p", "products"],
)
def test_thresholds_that_are_prepared_values(tmp_path: Path, step: Any, last: Any) -> None:
    random = np.random.default_rng(3)
    rows = pd.DataFrame({"paid": random.gamma(2, 100, 700)})
    if isinstance(last, RandomForestClassifier):
        rows["debt"] = random.gamma(2, 100, 700)
    names = list(rows.columns)
    rows["outcome"] = (rows["paid"] + random.normal(0, 80, 700) > 200).astype(int)
    model = make_pipeline(step, last).fit(rows[names], rows["outcome"])
    report = homeostat.export(model, rows, tmp_path, name="rounded", outcome_delay="1d")
    assert [one.differing for one in report.comparisons] == [0] * len(report.comparisons)


def test_threshold_is_moved_from_the_values_that_it_is_close_to() -> None:
    values, errors = np.array([1.0, 2.0, 2.001]), np.array([0.1, 0.1, 0.1])
    assert apart(1.0, values, errors) == pytest.approx(1.2)
    assert apart(1.9, values, errors) == pytest.approx(1.8)
    assert apart(1.5, values, errors) == 1.5
    # Two values that are closer than their errors.
    assert apart(2.0, values, errors) == pytest.approx(2.0005)


def test_last_number_on_the_left() -> None:
    for threshold in (0.1, 1.0, -3.3):
        for strict in (False, True):
            last = last_on_left(threshold, strict=strict, float32=True)
            for number, left in ((last, True), (np.nextafter(last, np.inf), False)):
                rounded = float(np.float32(number))
                assert (rounded < threshold if strict else rounded <= threshold) is left
