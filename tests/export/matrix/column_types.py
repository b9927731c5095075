"""Types of columns in pandas: nullable ones, and objects with None. Each with scikit-learn and the boosters that take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from tests.export.matrix.boosters import cat, lgb, xgb
from tests.export.matrix.case import COUNT, Case, classifier

_NUMBERS = "numbers: nullable `Int64` and `Float64` of pandas, with `pd.NA`"
_FULL = "`Int64` and `boolean` of pandas without missing values"
_BOOLEAN = "`boolean` of pandas with `pd.NA`"
_TEXTS = "texts: object columns with `None` or NaN"
_STRING = "texts: `string` of pandas with `pd.NA`"
_OBJECTS = "numbers in an object column"


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns of these types in the place of the usual ones, every eleventh value missing."""
    gone = np.arange(COUNT) % 11 == 0
    texts = rows["town"].astype(object)
    return rows.assign(
        whole=rows["age"].astype("Int64").mask(gone),
        real=rows["paid"].astype("Float64").mask(gone),
        flag=rows["card"].astype("boolean").mask(gone),
        full_whole=rows["age"].astype("Int64"),
        full_flag=rows["card"].astype("boolean"),
        string=rows["town"].astype("string").mask(gone),
        string_category=rows["town"].astype("string").mask(gone).astype("category"),
        none=texts.where(~gone, None),
        nan=texts.where(~gone, np.nan),
        numbers=rows["paid"].astype(object).where(~gone, None),
    )


def _histogram() -> Any:
    return HistGradientBoostingClassifier(max_iter=5)


def _imputed() -> Any:
    return make_pipeline(SimpleImputer(), LogisticRegression(max_iter=300))


def _encoded(column: str, encoder: Any, estimator: Any) -> Any:
    return make_pipeline(
        ColumnTransformer([("encoded", encoder, [column])], remainder="passthrough"), estimator
    )


def _one_hot(column: str) -> Any:
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return _encoded(column, encoder, LogisticRegression(max_iter=300))


def _ordinal(column: str) -> Any:
    return _encoded(
        column, OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), _histogram()
    )


def _filled(column: str) -> Any:
    missing = pd.NA if column == "string" else None
    filled = SimpleImputer(strategy="constant", fill_value="none", missing_values=missing)
    encoder = make_pipeline(filled, OneHotEncoder(handle_unknown="ignore", sparse_output=False))
    return _encoded(column, encoder, LogisticRegression(max_iter=300))


_BOOSTERS: dict[str, Callable[[], Any]] = {
    "XGBoost": xgb(),
    "LightGBM": lgb(),
    "CatBoost": cat(),
    "histogram": _histogram,
    "imputed": _imputed,
}


def _each(row: str, columns: Sequence[str], libraries: Sequence[str], **rest: Any) -> list[Case]:
    return [
        classifier(row, make, columns=["paid", column], change=_typed, variant=f"{library}, {column}", **rest)
        for library, make in _BOOSTERS.items()
        if library in libraries
        for column in columns
    ]


COLUMN_TYPES = [
    *_each(_NUMBERS, ["whole", "real"], list(_BOOSTERS)),
    *_each(_FULL, ["full_whole", "full_flag"], list(_BOOSTERS)),
    *_each(
        _BOOLEAN,
        ["flag"],
        ["XGBoost", "LightGBM", "histogram", "imputed"],
        remark="served as the integers 0 and 1, for which requests may send true and false; CatBoost refuses it in the fit",
    ),
    *(
        classifier(
            _TEXTS,
            partial(make, column),
            columns=[column, "paid"],
            change=_typed,
            variant=f"{make.__name__}, {column}",
            remark="with an encoder of scikit-learn; CatBoost refuses them in the fit",
        )
        for make in (_one_hot, _ordinal)
        for column in ("none", "nan")
    ),
    classifier(_TEXTS, partial(_filled, "none"), columns=["none", "paid"], change=_typed, variant="filled"),
    classifier(
        _STRING,
        partial(_filled, "string"),
        columns=["string", "paid"],
        change=_typed,
        variant="filled",
        remark="after `SimpleImputer(missing_values=pd.NA)`; as `category` with XGBoost and LightGBM",
    ),
    *(
        classifier(
            _STRING, make, columns=["string_category", "paid"], change=_typed, variant=f"{library}, category"
        )
        for library, make in {"XGBoost": xgb(), "LightGBM": lgb()}.items()
    ),
    *_each(
        _OBJECTS,
        ["numbers"],
        ["CatBoost", "histogram", "imputed"],
        refused="column 'numbers' is object with numbers, so its type is unknown",
        remark="`astype('float64')` before the fit",
    ),
]
