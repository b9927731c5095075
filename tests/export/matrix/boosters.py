"""XGBoost, LightGBM and CatBoost by themselves. The libraries are imported when a model is fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from tests.export.matrix.case import COUNT, NUMBERS, Case, classifier, regressor, several, with_spaces

MIXED = ["amount", "age", "shop", "weekday", "card"]
_CATBOOST = {"iterations": 8, "verbose": 0, "allow_writing_files": False, "thread_count": 1, "random_seed": 1}


def xgb(name: str = "XGBClassifier", **options: Any) -> Callable[[], Any]:
    def make() -> Any:
        import xgboost

        return getattr(xgboost, name)(
            **{"n_estimators": 5, "enable_categorical": True, "n_jobs": 1} | options
        )

    return make


def lgb(name: str = "LGBMClassifier", **options: Any) -> Callable[[], Any]:
    def make() -> Any:
        import lightgbm

        return getattr(lightgbm, name)(**{"n_estimators": 5, "verbose": -1, "n_jobs": 1} | options)

    return make


def cat(name: str = "CatBoostClassifier", **options: Any) -> Callable[[], Any]:
    def make() -> Any:
        import catboost

        return getattr(catboost, name)(**_CATBOOST | options)

    return make


def _with_embeddings(rows: pd.DataFrame) -> Any:
    return cat(embedding_features=["vector"])().fit(rows[["paid", "vector"]], rows["outcome"])


def without_missing(rows: pd.DataFrame) -> pd.DataFrame:
    """CatBoost refuses missing categories."""
    return rows.assign(shop=rows["town"], weekday=rows["weekday"].astype(int))


def _xgb_booster(
    outcome: str, columns: list[str] = NUMBERS, **parameters: Any
) -> Callable[[pd.DataFrame], Any]:
    def fit(rows: pd.DataFrame) -> Any:
        import xgboost

        return xgboost.train(parameters, xgboost.DMatrix(rows[columns], rows[outcome]), 5)

    return fit


def _lgb_booster(outcome: str, **parameters: Any) -> Callable[[pd.DataFrame], Any]:
    def fit(rows: pd.DataFrame) -> Any:
        import lightgbm

        return lightgbm.train(
            {"verbose": -1, **parameters}, lightgbm.Dataset(rows[NUMBERS], rows[outcome]), 5
        )

    return fit


def _ranked(make: Callable[[], Any], **groups: Any) -> Callable[[pd.DataFrame], Any]:
    return lambda rows: make().fit(rows[NUMBERS], rows["outcome"], **groups)


_XGB = "`XGBClassifier`, `XGBRegressor`, also with categoricals and `DART`"
_XGB_LOSS = "`XGBRegressor` with another loss: Poisson, gamma, Tweedie, quantile, absolute error"
_ONE = "fit one model per target"
_RANKED = "serve it from another system: a rank is relative to the other rows of its query"
XGBOOST = [
    classifier(_XGB, xgb(), columns=MIXED, options={"features": MIXED}),
    classifier(
        _XGB, xgb(booster="dart", rate_drop=0.3), columns=MIXED, options={"features": MIXED}, variant="dart"
    ),
    classifier(_XGB, xgb(base_score=0.2, scale_pos_weight=3), variant="base_score"),
    classifier(
        _XGB, xgb(max_cat_to_onehot=1), columns=MIXED, options={"features": MIXED}, variant="category sets"
    ),
    classifier(_XGB, xgb(monotone_constraints={"age": 1}), variant="monotone"),
    classifier(
        _XGB, xgb(missing=0.0, enable_categorical=False), columns=["visits", "age"], variant="missing=0"
    ),
    several(_XGB, xgb(), outcome="number"),
    several(_XGB, xgb(objective="multi:softmax"), outcome="number", variant="softmax"),
    several(_XGB, xgb(booster="dart", rate_drop=0.3), outcome="number", variant="dart"),
    regressor(_XGB, xgb("XGBRegressor"), columns=MIXED, options={"features": MIXED}),
    *(
        regressor(_XGB_LOSS, xgb("XGBRegressor", objective=loss), variant=loss)
        for loss in ("count:poisson", "reg:gamma", "reg:tweedie", "reg:absoluteerror", "reg:pseudohubererror")
    ),
    regressor(
        _XGB_LOSS, xgb("XGBRegressor", objective="reg:quantileerror", quantile_alpha=0.9), variant="quantile"
    ),
    classifier("`XGBRFClassifier`, `XGBRFRegressor`", xgb("XGBRFClassifier")),
    several("`XGBRFClassifier`, `XGBRFRegressor`", xgb("XGBRFClassifier"), outcome="number"),
    regressor("`XGBRFClassifier`, `XGBRFRegressor`", xgb("XGBRFRegressor")),
    Case("`Booster`", _xgb_booster("outcome", objective="binary:logistic"), variant="2 classes"),
    Case("`Booster`", _xgb_booster("value"), variant="value", options={"outcome": "value"}),
    Case(
        "`Booster`",
        _xgb_booster("number", objective="multi:softprob", num_class=3),
        variant="3 classes",
        options={"outcome": "number"},
    ),
    regressor(
        "`booster='gblinear'`",
        xgb("XGBRegressor", booster="gblinear", enable_categorical=False),
        refused="linear booster cannot be exported",
        remark="`booster='gbtree'`, or scikit-learn's `LogisticRegression` or `Ridge`",
    ),
    several(
        "`multi_strategy='multi_output_tree'`",
        xgb(multi_strategy="multi_output_tree", tree_method="hist"),
        outcome="number",
        refused="trees of several outputs",
        remark="`multi_strategy='one_output_per_tree'`; of a regression one model per target",
    ),
    regressor(
        "several targets, several quantiles",
        xgb("XGBRegressor", objective="reg:quantileerror", quantile_alpha=[0.1, 0.9]),
        refused="several values per row",
        remark=_ONE,
    ),
    Case(
        "`XGBRanker`",
        _ranked(xgb("XGBRanker"), qid=[row // 10 for row in range(COUNT)]),
        refused="objective rank:ndcg cannot be exported",
        remark=_RANKED,
    ),
    Case(
        "survival models",
        _xgb_booster("value", objective="survival:cox"),
        options={"outcome": "value"},
        refused="objective survival:cox cannot be exported",
        remark="`count:poisson`, `reg:gamma` or another loss of a value",
    ),
    classifier(
        "`binary:hinge`",
        xgb(objective="binary:hinge"),
        refused="objective binary:hinge cannot be exported",
        remark="`objective='binary:logistic'`",
    ),
]

_LGB = "`LGBMClassifier`, `LGBMRegressor`, also with categoricals, DART, GOSS and random forests"
_LGB_LOSS = "`LGBMRegressor` with another loss: Poisson, gamma, Tweedie, quantile, absolute error"
LIGHTGBM = [
    classifier(_LGB, lgb(), columns=MIXED),
    classifier(_LGB, lgb(boosting_type="dart"), columns=MIXED, variant="dart"),
    classifier(_LGB, lgb(data_sample_strategy="goss"), variant="goss"),
    classifier(
        _LGB,
        lgb(boosting_type="rf", bagging_freq=1, bagging_fraction=0.5),
        columns=MIXED,
        variant="random forest",
    ),
    classifier(_LGB, lgb(is_unbalance=True), variant="unbalanced"),
    classifier(_LGB, lgb(), columns=["paid sum", "age"], change=with_spaces, variant="spaces in names"),
    several(_LGB, lgb(), columns=MIXED),
    several(_LGB, lgb(boosting_type="rf", bagging_freq=1, bagging_fraction=0.5), variant="random forest"),
    regressor(_LGB, lgb("LGBMRegressor"), columns=MIXED),
    regressor(_LGB, lgb("LGBMRegressor", boost_from_average=False), variant="no average"),
    *(
        regressor(_LGB_LOSS, lgb("LGBMRegressor", objective=loss), variant=loss)
        for loss in ("poisson", "gamma", "tweedie", "quantile", "l1")
    ),
    regressor(_LGB_LOSS, lgb("LGBMRegressor", reg_sqrt=True), variant="reg_sqrt"),
    classifier(_LGB, lgb(zero_as_missing=True), columns=["visits", "amount"], variant="zero_as_missing"),
    Case(
        "`Booster`",
        _lgb_booster("number", objective="multiclass", num_class=3),
        variant="3 classes",
        options={"outcome": "number"},
    ),
    several(
        "`objective='multiclassova'`",
        lgb(objective="multiclassova"),
        remark="its probabilities are divided by their sum, so that a row sums to 1",
    ),
    Case("`Booster`", _lgb_booster("outcome", objective="binary"), variant="2 classes"),
    Case(
        "`Booster`",
        _lgb_booster("value", objective="regression"),
        variant="value",
        options={"outcome": "value"},
    ),
    regressor(
        "`linear_tree=True`",
        lgb("LGBMRegressor", linear_tree=True),
        refused="linear_tree cannot be exported",
        remark="`linear_tree=False`",
    ),
    Case(
        "`LGBMRanker`",
        _ranked(lgb("LGBMRanker"), group=[10] * (COUNT // 10)),
        refused="objective lambdarank cannot be exported",
        remark=_RANKED,
    ),
]

_CAT = "`CatBoostClassifier`, `CatBoostRegressor`"
_CAT_ENCODED = "the same with categories"
_CAT_OPTIONS: list[dict[str, Any]] = [{"max_ctr_complexity": 1}, {"one_hot_max_size": 255}]
_CAT_WITH = (
    "with `max_ctr_complexity=1`, or `one_hot_max_size=255`; the rows hold every text that the fit had"
)
CATBOOST = [
    classifier(_CAT, cat()),
    several(_CAT, cat()),
    regressor(_CAT, cat("CatBoostRegressor")),
    *(
        regressor(_CAT, cat("CatBoostRegressor", loss_function=loss), variant=loss)
        for loss in ("Poisson", "MAE", "Tweedie:variance_power=1.5", "Quantile:alpha=0.9")
    ),
    *(
        classifier(
            _CAT_ENCODED,
            cat(cat_features=["shop", "weekday"], **options),
            columns=MIXED,
            change=without_missing,
            variant=next(iter(options)),
            remark=_CAT_WITH,
        )
        for options in _CAT_OPTIONS
    ),
    several(
        _CAT_ENCODED,
        cat(cat_features=["shop", "weekday"], max_ctr_complexity=1),
        columns=MIXED,
        change=without_missing,
    ),
    *(
        classifier(
            "asymmetric trees: `grow_policy='Lossguide'`, `'Depthwise'`",
            cat(grow_policy=policy),
            variant=policy,
        )
        for policy in ("Lossguide", "Depthwise")
    ),
    several(
        "asymmetric trees: `grow_policy='Lossguide'`, `'Depthwise'`",
        cat(grow_policy="Lossguide"),
        variant="Lossguide",
    ),
    classifier(
        "asymmetric trees with categories",
        cat(grow_policy="Depthwise", cat_features=["shop", "weekday"], one_hot_max_size=255),
        columns=MIXED,
        change=without_missing,
        refused="asymmetric trees with categories cannot be exported",
        remark="`grow_policy='SymmetricTree'`",
    ),
    several(
        "`MultiClassOneVsAll`",
        cat(loss_function="MultiClassOneVsAll"),
        remark="its probabilities are divided by their sum, so that a row sums to 1",
    ),
    classifier(
        "`text_features`, `embedding_features`",
        cat(text_features=["town"]),
        columns=["paid", "town"],
        change=lambda rows: rows.assign(town="a shop of the sort " + rows["town"].astype(object)),
        refused="CatBoost's text_features cannot be exported: 'town'$",
        remark="`TfidfVectorizer` before CatBoost in a pipeline; an embedding's numbers as columns",
    ),
    Case(
        "`text_features`, `embedding_features`",
        _with_embeddings,
        refused="CatBoost's embedding_features cannot be exported: 'vector'$",
        change=lambda rows: rows.assign(vector=pd.Series(rows[NUMBERS].to_numpy(float).tolist())),
        variant="embeddings",
    ),
    regressor(
        "several quantiles, uncertainty",
        cat("CatBoostRegressor", loss_function="MultiQuantile:alpha=0.1,0.9"),
        refused="loss function MultiQuantile:alpha=0.1,0.9 cannot be exported|MultiQuantile cannot be exported",
        remark=_ONE,
    ),
]
