"""Estimators of scikit-learn by themselves."""

from __future__ import annotations

from functools import partial
from typing import Any

from sklearn.base import clone, is_classifier
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.export.matrix.case import Case, classifier, regressor, several

_MIXED = ["amount", "age", "shop", "weekday", "card"]


def _of(model: str, *estimators: Any, **rest: Any) -> list[Case]:
    """Cases of a row: for a classifier one of two classes and one of three, for a regressor one of a value."""
    cases = []
    for estimator in estimators:
        kinds = (classifier, several) if is_classifier(estimator) else (regressor,)
        cases += [
            kind(model, partial(clone, estimator), variant=type(estimator).__name__, **rest) for kind in kinds
        ]
    return cases


_HIST = "`HistGradientBoosting*`, also with `categorical_features='from_dtype'`"
SCIKIT_LEARN = [
    *_of(
        "linear models: `LogisticRegression`, `Ridge`, `Lasso`, `SGDClassifier(loss='log_loss')` and others",
        LogisticRegression(),
        LogisticRegressionCV(cv=2),
        SGDClassifier(loss="log_loss", random_state=1),
        LinearRegression(),
        Ridge(),
        Lasso(0.01),
        ElasticNet(0.01),
        BayesianRidge(),
        HuberRegressor(),
    ),
    *_of(
        "`DecisionTree*`, `RandomForest*`, `ExtraTrees*`",
        DecisionTreeClassifier(max_depth=4, random_state=1),
        RandomForestClassifier(3, random_state=1),
        ExtraTreesClassifier(3, random_state=1),
        DecisionTreeRegressor(max_depth=4, random_state=1),
        RandomForestRegressor(3, random_state=1),
        ExtraTreesRegressor(3, random_state=1),
    ),
    *_of(
        "`GradientBoosting*`",
        GradientBoostingClassifier(n_estimators=3, random_state=1),
        GradientBoostingRegressor(n_estimators=3, random_state=1),
    ),
    *_of(
        _HIST,
        HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype"),
        HistGradientBoostingRegressor(max_iter=3, categorical_features="from_dtype"),
        HistGradientBoostingRegressor(max_iter=3, loss="poisson"),
        HistGradientBoostingRegressor(max_iter=3, loss="quantile", quantile=0.9),
        columns=_MIXED,
    ),
    *_of(
        "`SVC(probability=True)`, `SVR`",
        SVC(probability=True, random_state=1),
        SVR(),
    ),
    *_of(
        "`GaussianNB`, `BernoulliNB`, `QuadraticDiscriminantAnalysis`",
        GaussianNB(),
        BernoulliNB(),
        QuadraticDiscriminantAnalysis(reg_param=0.1),
    ),
    *_of(
        "`MLPClassifier`, `MLPRegressor`",
        MLPClassifier((4,), max_iter=20, random_state=1),
        MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, random_state=1),
    ),
    *_of(
        "`AdaBoost*`", AdaBoostClassifier(n_estimators=3), AdaBoostRegressor(n_estimators=3, random_state=1)
    ),
    *_of(
        "classifiers without `predict_proba`: `LinearSVC`, `RidgeClassifier`, `SGDClassifier`",
        LinearSVC(),
        RidgeClassifier(),
        SGDClassifier(),
        VotingClassifier(
            [("forest", RandomForestClassifier(3)), ("linear", LogisticRegression())], voting="hard"
        ),
        refused="has no predict_proba",
        remark="wrap it in `CalibratedClassifierCV`",
    ),
    *_of(
        "`KNeighbors*`",
        KNeighborsClassifier(),
        KNeighborsRegressor(),
        remark="refused if neighbours at nearly the same distance change places in float32",
    ),
    classifier(
        "`LinearDiscriminantAnalysis`",
        LinearDiscriminantAnalysis,
        refused="returns other scores than the original",
        remark="`LogisticRegression`",
        variant="2 classes",
    ),
    *_of(
        "`OneVsRestClassifier`, `Bagging*`",
        OneVsRestClassifier(LogisticRegression()),
        BaggingClassifier(n_estimators=2, random_state=1),
        BaggingRegressor(n_estimators=2, random_state=1),
    ),
]
