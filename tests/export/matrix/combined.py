"""Pipelines, and estimators made of others: with parts of scikit-learn, XGBoost, LightGBM and CatBoost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC

from tests.export.matrix.boosters import cat, lgb, xgb
from tests.export.matrix.case import NUMBERS, Case, classifier, regressor, several, with_spaces, without_towns

_BOOSTERS = {
    "XGBoost": (xgb(enable_categorical=False), xgb("XGBRegressor", enable_categorical=False)),
    "LightGBM": (lgb(), lgb("LGBMRegressor")),
    "CatBoost": (cat(), cat("CatBoostRegressor")),
}
_CLASSIFIERS = "`VotingClassifier`, `StackingClassifier`, `CalibratedClassifierCV`, `BaggingClassifier`, `OneVsRestClassifier`"
_FOREST = ("forest", RandomForestClassifier(3, random_state=1))
_FOREST_VALUE = ("forest", RandomForestRegressor(3, random_state=1))
_COLUMNS = ["town", "weekday", "amount", "paid", "age"]


def _columns(estimator: Any, *, text: Any = None, number: Any = None) -> Any:
    """The estimator behind encoders of `town` and `weekday` and a scaler of numbers."""
    encoder = text or OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = [
        ("encoded", encoder, ["town", "weekday"]),
        ("filled", SimpleImputer(), ["amount"]),
        ("scaled", number or StandardScaler(), ["paid", "age"]),
    ]
    return make_pipeline(ColumnTransformer(steps), estimator)


def _around(library: str, make: Callable[[], Any], make_value: Callable[[], Any]) -> list[Case]:
    """Every combination with this library's estimator as a part."""
    row = _CLASSIFIERS
    value = "`VotingRegressor`, `StackingRegressor`, `TransformedTargetRegressor`"
    last = "a pipeline with encoders, imputers and scalers"
    fewer: dict[str, Any] = {"outcome": "number"}
    return [
        classifier(last, lambda: _columns(make()), columns=_COLUMNS, variant=library),
        several(last, lambda: _columns(make()), columns=_COLUMNS, variant=library, **fewer),
        classifier("`GridSearchCV` and other searches", lambda: _search(make()), variant=library),
        classifier(
            row,
            lambda: VotingClassifier([("a", make()), _FOREST], voting="soft"),
            variant=f"{library}, voting",
        ),
        classifier(
            row, lambda: StackingClassifier([("a", make()), _FOREST], cv=2), variant=f"{library}, stacking"
        ),
        classifier(row, lambda: CalibratedClassifierCV(make(), cv=2), variant=f"{library}, sigmoid"),
        classifier(
            row,
            lambda: CalibratedClassifierCV(_columns(make()), cv=2, method="isotonic"),
            columns=_COLUMNS,
            variant=f"{library}, isotonic",
        ),
        several(row, lambda: CalibratedClassifierCV(make(), cv=2), variant=f"{library}, sigmoid", **fewer),
        classifier(row, lambda: BaggingClassifier(make(), n_estimators=2), variant=f"{library}, bagging"),
        several(row, lambda: OneVsRestClassifier(make()), variant=f"{library}, one vs rest", **fewer),
        regressor(
            value, lambda: VotingRegressor([("a", make_value()), _FOREST_VALUE]), variant=f"{library}, voting"
        ),
        regressor(
            value,
            lambda: StackingRegressor([("a", make_value()), _FOREST_VALUE], cv=2),
            variant=f"{library}, stacking",
        ),
        regressor(
            value,
            lambda: TransformedTargetRegressor(make_value(), func=np.log1p, inverse_func=np.expm1),
            variant=f"{library}, target",
        ),
    ]


def _search(estimator: Any) -> GridSearchCV:
    return GridSearchCV(estimator, {"max_depth": [3]}, cv=2)


def _voting_behind_encoders() -> Any:
    return _columns(VotingClassifier([("linear", _linear()), _FOREST], voting="soft"))


_STEPS: dict[str, Any] = {
    "`OneHotEncoder`, also with missing and infrequent categories": OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=40, sparse_output=False
    ),
    "`OrdinalEncoder`": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    "`TargetEncoder`": TargetEncoder(cv=2, random_state=1),
}
_NUMBERS: dict[str, Any] = {
    "`StandardScaler`, `RobustScaler` and other scalers": RobustScaler(),
    "`FunctionTransformer` of `np.log1p`, `np.log`, `np.sqrt`, `np.square`": FunctionTransformer(np.square),
    "`PowerTransformer`, `QuantileTransformer`": QuantileTransformer(n_quantiles=20),
}


def _linear() -> LogisticRegression:
    return LogisticRegression(max_iter=300)


def _behind(**steps: Any) -> Any:
    return _columns(_linear(), **steps)


def _several_values(variant: str, make: Callable[[], Any]) -> Case:
    """Two values behind encoders, with missing categories."""
    return Case(
        "several values: forests, linear models, `MultiOutputRegressor` of any, also of boosting",
        lambda rows: _columns(make()).fit(rows[_COLUMNS], rows[["value", "visits"]]),
        without_towns,
        variant=variant,
        options={"outcome": ["value", "visits"], "features": _COLUMNS},
        remark="as kind `values`",
    )


_OF_VALUES: dict[str, Callable[[], Any]] = {
    "forest": lambda: RandomForestRegressor(3, random_state=1),
    "linear": Ridge,
    "histogram": lambda: MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=3)),
    **{
        library: partial(lambda make: MultiOutputRegressor(make()), make_value)
        for library, (_, make_value) in _BOOSTERS.items()
    },
}
STEPS = [
    *(classifier(row, partial(_behind, text=step), columns=_COLUMNS) for row, step in _STEPS.items()),
    *(classifier(row, partial(_behind, number=step), columns=_COLUMNS) for row, step in _NUMBERS.items()),
    classifier(
        "`PowerTransformer`, `QuantileTransformer`",
        lambda: _columns(_linear(), number=PowerTransformer()),
        columns=_COLUMNS,
        variant="power",
    ),
    classifier(
        "`SimpleImputer`, also with `add_indicator=True` and of texts",
        lambda: make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), _linear()),
        columns=["amount", "age"],
    ),
    classifier(
        "`PCA`, `PolynomialFeatures` and other mixtures of columns, before linear models and forests",
        lambda: make_pipeline(StandardScaler(), PCA(2), RandomForestClassifier(3, random_state=1)),
        remark="before boosting, the scores may differ after the seventh digit of a number: the export is then refused",
    ),
    classifier(
        "`PCA`, `PolynomialFeatures` and other mixtures of columns, before linear models and forests",
        lambda: make_pipeline(StandardScaler(), PolynomialFeatures(2), _linear()),
        variant="polynomial",
    ),
    classifier(
        "`KBinsDiscretizer` into one-hot columns, `SplineTransformer`",
        lambda: make_pipeline(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), _linear()),
        refused="skl2onnx cannot convert",
        remark="trees, which need no bins; or `QuantileTransformer`",
    ),
    classifier(
        "`KBinsDiscretizer` into one-hot columns, `SplineTransformer`",
        lambda: make_pipeline(SplineTransformer(), _linear()),
        refused="skl2onnx cannot convert",
        variant="spline",
    ),
    classifier(
        "`KNNImputer`, `IterativeImputer`",
        lambda: make_pipeline(KNNImputer(), _linear()),
        columns=["amount", "age"],
        refused="returns other scores than the original|skl2onnx cannot convert",
        remark="`SimpleImputer(add_indicator=True)`",
    ),
    regressor(
        "`FunctionTransformer` of your own function",
        lambda: make_pipeline(FunctionTransformer(np.cbrt), Ridge()),
        columns=NUMBERS,
        refused="skl2onnx cannot convert",
        remark="compute the column before the request; send it as a feature",
    ),
]
COMBINED = [
    *(case for library, parts in _BOOSTERS.items() for case in _around(library, *parts)),
    *(_several_values(variant, make) for variant, make in _OF_VALUES.items()),
    classifier(
        _CLASSIFIERS,
        lambda: CalibratedClassifierCV(lgb()(), cv=2),
        columns=["paid sum", "age"],
        change=with_spaces,
        variant="LightGBM, spaces in names",
    ),
    classifier(
        _CLASSIFIERS,
        lambda: CalibratedClassifierCV(_columns(LinearSVC()), cv=2),
        columns=_COLUMNS,
        variant="around encoders and LinearSVC",
    ),
    classifier(
        _CLASSIFIERS,
        _voting_behind_encoders,
        columns=_COLUMNS,
        change=without_towns,
        variant="behind encoders with missing categories",
    ),
]
