from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import homeostat
from homeostat.model_export.checks.refused_numbers import refused_numbers
from homeostat.model_export.columns import infer_columns
from homeostat.model_export.libraries.sklearn_model import SklearnModel


def rows(plans: list[Any]) -> pd.DataFrame:
    random = np.random.default_rng(3)
    given = pd.DataFrame({"plan": random.choice(plans, 300), "amount": random.normal(size=300)})
    given["outcome"] = (given["amount"] + random.normal(size=300) > 0).astype(int)
    given["event_time"] = pd.date_range("2026-01-01", periods=300, freq="h", tz="UTC")
    return given


def fitted(given: pd.DataFrame, **options: Any) -> Any:
    encoder = make_column_transformer((OneHotEncoder(**options), ["plan"]), remainder="passthrough")
    return make_pipeline(encoder, LogisticRegression()).fit(given[["plan", "amount"]], given["outcome"])


@pytest.mark.parametrize(("plans", "refused"), [([1, 2, 5], 3), ([1, 2, 3], 0), ([0, 1, 2], 4)])
def test_a_number_that_the_encoder_refuses_is_warned_of_by_column(plans: list[int], refused: int) -> None:
    given = rows(plans)
    frame = given[["plan", "amount"]]
    (warning,) = refused_numbers(SklearnModel(fitted(given)), infer_columns(frame, ["plan", "amount"]), frame)
    assert warning.startswith(f"the model fails for {refused} in the column 'plan'")
    assert "handle_unknown='ignore'" in warning


def test_what_the_encoder_ignores_and_other_numbers_are_not_warned_of() -> None:
    given = rows([1, 2, 5]).astype({"plan": "int8"})
    frame = given[["plan", "amount"]]
    model = SklearnModel(fitted(given, handle_unknown="ignore"))
    assert refused_numbers(model, infer_columns(frame, ["plan", "amount"]), frame) == []


def test_both_ways_out_of_the_warning_export_without_it(tmp_path: Path) -> None:
    given = rows([1, 2, 5])
    with pytest.warns(homeostat.ExportWarning, match="the model fails for 3 in the column 'plan'"):
        homeostat.export(fitted(given), given, tmp_path / "error")
    report = homeostat.export(fitted(given, handle_unknown="ignore"), given, tmp_path / "ignore")
    assert report.warnings == ()
    texts = given.assign(plan=given["plan"].astype(str))
    with pytest.warns(homeostat.ExportWarning) as shown:
        report = homeostat.export(fitted(texts), texts, tmp_path / "text")
    assert not any("the model fails for" in str(one.message) for one in shown)
    assert (report.columns[0].feature.values, report.columns[0].feature.unknown) == (
        ("1", "2", "5"),
        "refuse",
    )
