"""XGBoost: `Booster`, `XGBClassifier`, `XGBRegressor` and their relatives, read from the booster's JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.libraries.xgboost_categories import stored_categories, with_known_categories
from homeostat.model_export.prediction_kind import VALUE, of_classes
from homeostat.model_export.trees.ensemble import (
    CategoryTable,
    Ensemble,
    Link,
    Node,
    Tree,
    left_positions,
    scaled,
)
from homeostat.model_export.trees.tree_model import TreeModel
from shared.errors import ExportRefused

_LINKS: dict[str, Link] = {
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "binary:logistic": "sigmoid",
    "reg:logistic": "sigmoid",
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
}


def xgboost_model(model: Any, *, positive: Any = None) -> TreeModel:
    """A booster, or an estimator of xgboost's scikit-learn interface."""
    import xgboost

    estimator = None if isinstance(model, xgboost.Booster) else model
    if estimator is None:
        booster = model
        classes: tuple[Any, ...] = _classes(model)
    else:
        booster = model.get_booster()
        classes = tuple(model.classes_) if hasattr(model, "predict_proba") else ()
    iterations, rounds = used_iterations(booster), booster.num_boosted_rounds()
    stopped = iterations < rounds
    notes = (
        [f"the first {iterations} of {rounds} rounds, up to the best iteration, as an estimator predicts"]
        if stopped and estimator is None
        else []
    )
    kind = of_classes(classes, positive=positive) if classes else VALUE
    place = list(classes).index(kind.positive) if kind.name == "probability" else None

    used = (0, iterations if stopped else 0)

    def predict(rows: pd.DataFrame) -> Any:
        rows = with_known_categories(booster, rows)
        given: Any = rows if booster.feature_names else rows.to_numpy()
        if estimator is not None and not classes:
            return estimator.predict(given)
        if estimator is not None:
            probabilities = np.asarray(estimator.predict_proba(given), dtype=np.float64)
            return probabilities if place is None else probabilities[:, place]
        matrix = xgboost.DMatrix(given, enable_categorical=True)
        if len(classes) > 2:
            margins = np.asarray(
                booster.predict(matrix, output_margin=True, iteration_range=used), dtype=np.float64
            )
            powers = np.exp(margins - margins.max(axis=1, keepdims=True))
            return powers / powers.sum(axis=1, keepdims=True)
        scores = booster.predict(matrix, iteration_range=used)
        return 1 - np.asarray(scores, dtype=np.float64) if place == 0 else scores

    return TreeModel(
        library="XGBoost",
        kind=kind,
        classes=classes,
        names=list(booster.feature_names or ()),
        count=booster.num_features(),
        predict=predict,
        read=lambda columns, _: read_booster(
            booster, columns, iterations, flipped=place == 0, missing=missing_number(estimator)
        ),
        notes=notes,
    )


def read_booster(
    booster: Any,
    columns: Sequence[Column],
    iterations: int,
    *,
    flipped: bool = False,
    missing: float | None = None,
) -> Ensemble:
    """The trees of the first `iterations`. `flipped`: the score is the probability of the first class.

    `missing`: the number that counts as missing beside NaN.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective = learner["objective"]["name"]
    if objective not in _LINKS:
        raise ExportRefused(
            f"XGBoost's objective {objective} cannot be exported",
            hint=f"fit with one of: {', '.join(sorted(_LINKS))}",
        )
    boosting = learner["gradient_booster"]
    weights: Sequence[float] = boosting.get("weight_drop", ())
    boosting = boosting.get("gbtree", boosting)
    if "model" not in boosting or "trees" not in boosting["model"]:
        raise ExportRefused(
            "XGBoost's linear booster cannot be exported", hint="fit with booster='gbtree' or 'dart'"
        )
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in boosting["model"]["trees"]):
        raise ExportRefused(
            "XGBoost's trees of several outputs (multi_strategy='multi_output_tree') cannot be exported",
            hint="fit a classifier with multi_strategy='one_output_per_tree', and of a regression one model per target",
        )
    tables = {
        place: CategoryTable(column.keys) for place, column in enumerate(columns) if column.keys
    } | stored_categories(boosting["model"], columns)
    used = boosting["model"]["iteration_indptr"][iterations]
    trees = [_tree(tree, tables) for tree in boosting["model"]["trees"][:used]]
    if weights:
        trees = [scaled(tree, weight) for tree, weight in zip(trees, weights, strict=False)]
    link = _LINKS[objective]
    scores = learner["learner_model_param"]["base_score"].strip("[]").split(",")
    bases = tuple(_base(score, link) for score in scores)
    width = int(learner["learner_model_param"]["num_class"])
    if len(bases) > 1 and not width:
        raise ExportRefused("the model predicts several values per row", hint="fit one model per target")
    if width:
        trees = _in_turn(trees, boosting["model"]["tree_info"][:used], width)
    sign = -1.0 if flipped else 1.0
    return Ensemble(
        tuple(scaled(tree, sign) if flipped else tree for tree in trees),
        base=bases if len(bases) > 1 else sign * bases[0],
        width=width,
        link=link,
        strict=True,
        float32=True,
        gaps_are_missing=True,
        categories=tables,
        missing_number=missing,
    )


def missing_number(estimator: Any) -> float | None:
    """The number that stands for a missing one, the estimator's `missing`; None if it is NaN."""
    value = getattr(estimator, "missing", np.nan)
    return None if value is None or value != value else float(np.float32(value))


def _in_turn(trees: Sequence[Tree], classes: Sequence[int], width: int) -> list[Tree]:
    """The trees in the order of their classes: 0, 1, 2, 0, 1, 2. A forest has all trees of a class side by side."""
    by_class = [
        [tree for tree, one in zip(trees, classes, strict=True) if one == place] for place in range(width)
    ]
    return [tree for turn in zip(*by_class, strict=True) for tree in turn]


def used_iterations(booster: Any) -> int:
    """Up to the best iteration where training stopped early, as an estimator predicts; a booster itself predicts with all."""
    best = booster.attr("best_iteration")
    return booster.num_boosted_rounds() if best is None else int(best) + 1


def _classes(booster: Any) -> tuple[int, ...]:
    """A booster's classes are numbers."""
    learner = json.loads(booster.save_config())["learner"]
    if learner["objective"]["name"] == "binary:logistic":
        return (0, 1)
    return tuple(range(int(learner["learner_model_param"]["num_class"])))


def _base(text: str, link: Link) -> float:
    score = float(np.float32(text))
    if link == "sigmoid":
        return -math.log(1 / score - 1)
    return math.log(score) if link == "exp" else score


def _tree(tree: dict[str, Any], tables: dict[int, CategoryTable]) -> Tree:
    members: dict[int, frozenset[int]] = {}
    for node, start, size in zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    ):
        members[node] = frozenset(tree["categories"][start : start + size])
    nodes = []
    for number, left in enumerate(tree["left_children"]):
        condition = float(np.float32(tree["split_conditions"][number]))
        if left < 0:
            nodes.append(Node(value=condition))
            continue
        column, default = int(tree["split_indices"][number]), bool(tree["default_left"][number])
        positions = None
        if number in members:
            if column not in tables:
                raise ExportRefused(
                    f"the categories of column {column} are unknown",
                    hint="pass rows with pandas categoricals, as in the fit",
                )
            table = tables[column]
            # A category of the node's set goes right.
            codes = frozenset(range(len(table.keys))) - members[number]
            positions = left_positions(table, codes, unseen_left=default, missing_left=default)
        nodes.append(
            Node(
                column=column,
                threshold=condition,
                missing_left=default,
                left_positions=positions,
                left=int(left),
                right=int(tree["right_children"][number]),
            )
        )
    return tuple(nodes)
