from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

import homeostat
from homeostat.model_export.columns import infer_columns
from homeostat.model_export.named_graph import Graph
from homeostat.model_export.pipelines.preparation import NotColumnwise
from homeostat.model_export.pipelines.prepared_columns import add_prepared


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(5)
    amount, shop = (
        random.gamma(2, 50, 400),
        random.choice(["corner", "mall", "web", "kiosk"], 400, p=[0.4, 0.3, 0.25, 0.05]),
    )
    return pd.DataFrame(
        {
            "shop": pd.Series(shop, dtype=object).mask(random.random(400) < 0.1),
            "amount": np.where(random.random(400) < 0.1, np.nan, amount),
            "paid": amount,
            "outcome": (amount / 100 + (shop == "web") + random.normal(scale=0.3, size=400) > 1.3).astype(
                int
            ),
            "event_time": pd.date_range("2026-01-01", periods=400, freq="h", tz="UTC"),
        }
    )


@pytest.mark.parametrize(
    "encoder",
    [
        pytest.param(OneHotEncoder(handle_unknown="ignore"), id="missing categories"),
        pytest.param(
            OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=40), id="infrequent categories"
        ),
        pytest.param(
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
            id="codes",
        ),
        pytest.param(
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(handle_unknown="ignore")
            ),
            id="filled categories",
        ),
        pytest.param(TargetEncoder(), id="means of the target"),
    ],
)
def test_steps_that_skl2onnx_gets_wrong(rows: pd.DataFrame, tmp_path: Path, encoder: Any) -> None:
    steps = ColumnTransformer(
        [
            ("shop", encoder, ["shop"]),
            ("amount", SimpleImputer(add_indicator=True), ["amount"]),
            ("paid", make_pipeline(FunctionTransformer(np.square), StandardScaler()), ["paid"]),
        ]
    )
    model = make_pipeline(steps, StandardScaler(with_mean=False), LogisticRegression()).fit(
        rows, rows["outcome"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", homeostat.ExportWarning)
        report = homeostat.export(model, rows, tmp_path, name="prepared")
    assert [(one.name, one.differing) for one in report.comparisons] == [
        ("the rows", 0),
        ("values beyond the range", 0),
        ("unseen categories", 0),
        ("missing values", 0),
    ]


def test_mixed_columns_are_refused(rows: pd.DataFrame) -> None:
    columns = infer_columns(rows, ["paid", "outcome"])
    steps = make_pipeline(StandardScaler(), PCA(2)).fit(rows[["paid", "outcome"]])
    with pytest.raises(NotColumnwise, match="depends on several raw columns"):
        add_prepared(Graph(columns), steps, columns, rows[["paid", "outcome"]])
