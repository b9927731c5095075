"""Vectorizers of scikit-learn before models of all libraries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from tests.export.matrix.boosters import cat, lgb, xgb
from tests.export.matrix.case import Case

_WORDS = ["Good", "bad,", "the", "ROOM", "Été", "größe", "it's", "cold!", "мир", "2nd"]


def with_reviews(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column `review`, in which the outcome shows."""
    random = np.random.default_rng(3)
    words = random.choice(_WORDS, (len(rows), 6))
    words[:, 0] = np.where(rows["outcome"] == 1, "Good", "bad,")
    return rows.assign(review=[" ".join(row) for row in words])


def _case(
    model: str, *steps: Any, outcome: str = "outcome", variant: str = "", refused: str = "", remark: str = ""
) -> Case:
    def fit(rows: pd.DataFrame) -> Any:
        made = [step() if callable(step) else step for step in steps]
        return make_pipeline(*made).fit(rows["review"], rows[outcome])

    name = variant or ", ".join(type(step).__name__ for step in steps)
    options = {"features": ["review"], "outcome": outcome}
    return Case(model, fit, with_reviews, refused, remark, name, options)


def _beside(make: Callable[[], Any]) -> Callable[[pd.DataFrame], Any]:
    def fit(rows: pd.DataFrame) -> Any:
        columns = make_column_transformer(
            (TfidfVectorizer(), "review"),
            (StandardScaler(), ["age", "visits"]),
            (OneHotEncoder(handle_unknown="ignore"), ["town"]),
        )
        return make_pipeline(columns, make()).fit(rows, rows["outcome"])

    return fit


def _with_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Reviews beside numbers and categories that are missing in some rows, and a rare category."""
    rare = rows["town"].mask(rows["age"] % 11 == 0, "fair")
    return with_reviews(rows).assign(
        town=rare.astype(object).mask(rows["age"] % 7 == 0, None),
        whole=rows["visits"].astype("Int64").mask(rows["age"] % 5 == 0),
    )


def _beside_gaps(make: Callable[[], Any]) -> Callable[[pd.DataFrame], Any]:
    def fit(rows: pd.DataFrame) -> Any:
        columns = make_column_transformer(
            (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["amount", "whole"]),
            (TfidfVectorizer(), "review"),
            (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=50), ["town"]),
            ("passthrough", ["visits"]),
        )
        return make_pipeline(columns, make()).fit(rows, rows["outcome"])

    return fit


_VECTORIZERS = (
    "`TfidfVectorizer`, `CountVectorizer`, `TfidfTransformer`: words, n-grams, stop words, `char`, `char_wb`"
)
_BEFORE = "the same before linear models, naive Bayes, trees, `TruncatedSVD`, LightGBM and XGBoost"
_INSTEAD = "prepare the text in the column, before it reaches the model"
TEXT = [
    _case(_VECTORIZERS, TfidfVectorizer(sublinear_tf=True), LogisticRegression()),
    _case(_VECTORIZERS, CountVectorizer(ngram_range=(1, 2)), TfidfTransformer(), LogisticRegression()),
    _case(
        _VECTORIZERS,
        TfidfVectorizer(stop_words="english"),
        SGDClassifier(loss="log_loss"),
        variant="stop words",
    ),
    *(
        _case(
            _VECTORIZERS,
            TfidfVectorizer(analyzer=name, ngram_range=(2, 4)),
            LogisticRegression(),
            variant=name,
        )
        for name in ("char", "char_wb")
    ),
    _case(_BEFORE, TfidfVectorizer(), ComplementNB()),
    _case(_BEFORE, CountVectorizer(), MultinomialNB(), outcome="class_", variant="3 classes"),
    _case(_BEFORE, TfidfVectorizer(), Ridge(), outcome="value", variant="value"),
    _case(_BEFORE, TfidfVectorizer(), RandomForestClassifier(3, random_state=1)),
    _case(_BEFORE, TfidfVectorizer(), TruncatedSVD(3), LogisticRegression()),
    _case(_BEFORE, TfidfVectorizer(), CalibratedClassifierCV(LinearSVC())),
    _case(_BEFORE, TfidfVectorizer(), xgb(enable_categorical=False), variant="XGBoost"),
    _case(_BEFORE, TfidfVectorizer(), lgb(), variant="LightGBM"),
    *(
        Case(
            "the same in a `ColumnTransformer`, beside numbers and categories",
            _beside(make),
            with_reviews,
            variant=name,
            options={"features": ["review", "age", "visits", "town"]},
        )
        for name, make in (("linear", LogisticRegression), ("XGBoost", xgb(enable_categorical=False)))
    ),
    *(
        Case(
            "the same beside missing numbers, missing and rare categories",
            _beside_gaps(make),
            _with_gaps,
            variant=name,
            options={"features": ["review", "amount", "whole", "town", "visits"]},
        )
        for name, make in (
            ("linear", LogisticRegression),
            ("forest", partial(RandomForestClassifier, 3, random_state=1)),
            ("XGBoost", xgb(enable_categorical=False)),
            ("LightGBM", lgb()),
            ("CatBoost", cat()),
        )
    ),
    _case(
        "`tokenizer=`, `preprocessor=` and `analyzer=` functions",
        TfidfVectorizer(tokenizer=str.split),
        LogisticRegression(),
        refused="has tokenizer=split, a function",
        remark=_INSTEAD,
    ),
    _case(
        "`HashingVectorizer`",
        HashingVectorizer(),
        LogisticRegression(),
        refused="HashingVectorizer has no exact form",
        remark="`TfidfVectorizer`, with `max_features=`",
    ),
    _case(
        "`strip_accents`",
        TfidfVectorizer(strip_accents="unicode"),
        LogisticRegression(),
        refused="has strip_accents='unicode'",
        remark=_INSTEAD,
    ),
    _case(
        "`token_pattern` with groups, look-ahead or lazy repetition",
        TfidfVectorizer(token_pattern=r"\w+(?=\s)"),
        LogisticRegression(),
        refused="token_pattern=.* has ",
        remark="classes and greedy repetition, as in the default",
    ),
    _case(
        "the same before `KNeighbors*`",
        TfidfVectorizer(),
        KNeighborsClassifier(),
        refused="skl2onnx cannot convert this model",
        remark="`LogisticRegression`, or `TruncatedSVD` in between",
    ),
]
