"""scikit-learn's decision trees, forests and gradient boosting, read from their `tree_` arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from homeostat.model_export.trees.ensemble import Ensemble, Node, Tree
from shared.errors import ExportRefused

FORESTS = frozenset(
    {
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreeClassifier",
        "ExtraTreeRegressor",
        "RandomForestClassifier",
        "RandomForestRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
    }
)
BOOSTING = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})


def read_forest(estimator: Any, *, class_place: int | None, classes: int = 0) -> Ensemble:
    """The mean over the trees: of the share of one class, of the shares of all, of the value, or of several values."""
    trees = getattr(estimator, "estimators_", None) or [estimator]
    count = len(trees)
    several = 0 if hasattr(estimator, "classes_") or estimator.n_outputs_ == 1 else estimator.n_outputs_

    def leaf(values: Any) -> float | tuple[float, ...]:
        if several:
            return tuple((values[:, 0] / count).tolist())
        weights = values[0]
        # Before scikit-learn 1.3 these are counts; a share is the same of both.
        if classes:
            return tuple((weights / weights.sum() / count).tolist())
        return float(
            (weights[class_place] / weights.sum() if class_place is not None else weights[0]) / count
        )

    return Ensemble(tuple(_tree(tree.tree_, leaf) for tree in trees), width=classes or several, float32=True)


def read_gradient_boosting(estimator: Any, *, flipped: bool = False) -> Ensemble:
    """The sum over the stages, scaled by the learning rate."""
    sign = -1.0 if flipped else 1.0
    rate = sign * estimator.learning_rate
    classifier = hasattr(estimator, "predict_proba")
    if classifier and estimator.loss != "log_loss":
        raise ExportRefused(
            f"GradientBoostingClassifier with loss={estimator.loss} cannot be exported", hint="use log_loss"
        )
    first = np.zeros((1, estimator.n_features_in_))
    bases = tuple((sign * np.ravel(estimator._raw_predict_init(first))).tolist())
    if estimator.init not in (None, "zero"):
        raise ExportRefused(
            "gradient boosting that starts from another estimator (init=) cannot be exported",
            hint="fit with init=None",
        )
    trees = tuple(
        _tree(stage.tree_, lambda values: rate * float(values[0, 0]))
        for stage in estimator.estimators_.ravel()
    )
    if len(bases) > 1:
        return Ensemble(trees, base=bases, width=len(bases), link="softmax", float32=True)
    return Ensemble(trees, base=bases[0], link="sigmoid" if classifier else "identity", float32=True)


def _tree(tree: Any, leaf: Callable[[Any], float | tuple[float, ...]]) -> Tree:
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count, dtype=np.uint8))
    return tuple(
        Node(value=leaf(tree.value[number]))
        if tree.children_left[number] < 0
        else Node(
            column=int(tree.feature[number]),
            threshold=float(tree.threshold[number]),
            missing_left=bool(missing[number]),
            left=int(tree.children_left[number]),
            right=int(tree.children_right[number]),
        )
        for number in range(tree.node_count)
    )
