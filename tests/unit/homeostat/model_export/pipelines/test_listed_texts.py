from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from homeostat.model_export.pipelines.listed_texts import listed_texts

ROWS = pd.DataFrame({"shop": ["web", "mall"] * 5, "town": ["x", "y"] * 5, "paid": np.arange(10.0)})
NAMES = list(ROWS.columns)


class Codes(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of another library."""

    def fit(self, rows: pd.DataFrame, outcome: Any = None) -> Codes:
        return self

    def transform(self, rows: pd.DataFrame) -> Any:
        return rows.map(len)


def encoder() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def codes() -> FunctionTransformer:
    return FunctionTransformer(lambda rows: rows.map(len))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (make_column_transformer((encoder(), ["shop", "town"]), remainder="passthrough"), set()),
        (make_column_transformer((codes(), ["shop"]), (encoder(), ["town"])), {"shop"}),
        (make_column_transformer((Codes(), ["town"]), (encoder(), ["shop"])), {"town"}),
        (make_column_transformer((make_pipeline(codes(), encoder()), [0]), (encoder(), [1])), {"shop"}),
        (
            make_column_transformer(
                (make_pipeline(encoder(), FunctionTransformer(np.exp)), ["shop", "town"])
            ),
            set(),
        ),
        (make_column_transformer((codes(), ["shop"]), (encoder(), ["shop", "town"])), {"shop"}),
        (
            make_column_transformer(
                (make_pipeline(SimpleImputer(strategy="most_frequent"), encoder()), ["shop", "town"]),
                (make_pipeline(StandardScaler(), FunctionTransformer(np.exp)), ["paid"]),
            ),
            set(),
        ),
        (make_pipeline(FunctionTransformer(), make_union(encoder(), encoder())), set()),
        (
            FunctionTransformer(lambda rows: rows.assign(shop=rows["shop"].map(len), town=1)),
            {"shop", "town", "paid"},
        ),
    ],
)
def test_texts_that_pass_a_function_before_an_encoder(step: Any, expected: set[str]) -> None:
    model = make_pipeline(step, LogisticRegression()).fit(ROWS, [0, 1] * 5)
    found = listed_texts(model, NAMES)
    assert set(found) - {"paid"} == expected - {"paid"}


def test_an_estimator_without_steps_lists_none() -> None:
    assert listed_texts(LogisticRegression(), NAMES) == frozenset()


def test_columns_of_a_second_transformer_are_in_all_its_branches() -> None:
    first = make_column_transformer(("passthrough", ["shop", "town"]), remainder="drop")
    second = ColumnTransformer(
        [("a", encoder(), [0]), ("b", FunctionTransformer(lambda rows: np.ones((len(rows), 1))), [1])]
    )
    model = make_pipeline(first, second, LogisticRegression()).fit(ROWS, [0, 1] * 5)
    assert listed_texts(model, ["shop", "town"]) == {"shop", "town"}
