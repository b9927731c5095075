"""LightGBM: `Booster`, `LGBMClassifier`, `LGBMRegressor`, read from the booster's dump."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from homeostat.model_export.columns import Column
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
from homeostat.model_export.trees.tree_model import SHARES_OF_SUM, TreeModel
from shared.errors import ExportRefused

_LINKS: dict[str, Link] = {
    "binary": "sigmoid",
    "multiclass": "softmax",
    "multiclassova": "shares",
    "cross_entropy": "sigmoid",
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
}


def lightgbm_model(model: Any, *, positive: Any = None) -> TreeModel:
    """A booster, or an estimator of LightGBM's scikit-learn interface."""
    import lightgbm

    if isinstance(model, lightgbm.Booster):
        booster, estimator = model, None
        classes: tuple[Any, ...] = _classes(_objective(model))
    else:
        booster, estimator = model.booster_, model
        classes = tuple(model.classes_) if hasattr(model, "predict_proba") else ()
    kind = of_classes(classes, positive=positive) if classes else VALUE
    flipped = kind.name == "probability" and kind.positive == classes[0]
    one_vs_all = _objective(booster)[:1] == ["multiclassova"]
    names = booster.feature_name()
    named = names != [f"Column_{number}" for number in range(len(names))]

    def predict(rows: pd.DataFrame) -> Any:
        given: Any = rows if named else rows.to_numpy()
        if estimator is not None:
            # An estimator's class may have methods of its own.
            scores = np.asarray(
                (estimator.predict_proba if classes else estimator.predict)(given), np.float64
            )
        else:
            scores = np.asarray(booster.predict(given), dtype=np.float64)
        if one_vs_all:
            scores = scores / scores.sum(axis=1, keepdims=True)
        if scores.ndim == 2 and len(classes) == 2:
            return scores[:, 0 if flipped else 1]
        return 1 - scores if flipped else scores

    return TreeModel(
        library="LightGBM",
        kind=kind,
        classes=classes,
        names=list(names) if named else (),
        count=len(names),
        predict=predict,
        spaces_replaced=True,
        read=lambda columns, rows: read_booster(booster, columns, rows, flipped=flipped),
        warnings=[SHARES_OF_SUM.format(objective="multiclassova")] if one_vs_all else (),
    )


def read_booster(
    booster: Any, columns: Sequence[Column], rows: pd.DataFrame | None, *, flipped: bool = False
) -> Ensemble:
    """The trees up to the best iteration. `flipped`: the score is the probability of the first class."""
    dump = booster.dump_model(num_iteration=booster.best_iteration if booster.best_iteration > 0 else None)
    words = dump.get("objective", "custom").split()
    if words[0] not in _LINKS:
        raise ExportRefused(
            f"LightGBM's objective {words[0]} cannot be exported",
            hint=f"fit with one of: {', '.join(sorted(_LINKS))}",
        )
    options = dict(word.split(":", 1) for word in words[1:] if ":" in word)
    link: Link = "signed_square" if "sqrt" in words[1:] else _LINKS[words[0]]
    found = dump["tree_info"]
    tables = _tables(booster, columns, rows, [tree["tree_structure"] for tree in found])
    trees = [_tree(tree["tree_structure"], tables) for tree in found]
    if any(line == "is_linear=1" for line in booster.model_to_string(num_iteration=1).splitlines()):
        raise ExportRefused("LightGBM's linear_tree cannot be exported", hint="fit with linear_tree=False")
    width = int(dump["num_class"]) if link in ("softmax", "shares") else 0
    zeros = frozenset(
        node["split_feature"]
        for tree in found
        for node in _splits(tree["tree_structure"])
        if node["missing_type"] == "Zero" and node["decision_type"] != "=="
    )
    factor = max(1, width) / len(trees) if dump.get("average_output") and trees else 1.0
    factor = -factor if flipped else factor
    return Ensemble(
        tuple(scaled(tree, factor) if factor != 1.0 else tree for tree in trees),
        link=link,
        width=width,
        scale=float(options.get("sigmoid", 1.0)) if link in ("sigmoid", "shares") else 1.0,
        categories=tables,
        missing_number=0.0 if zeros else None,
        missing_in=zeros,
    )


def _classes(objective: list[str]) -> tuple[Any, ...]:
    """A booster's classes are numbers."""
    if objective[:1] == ["binary"]:
        return (0, 1)
    count = next((word.partition(":")[2] for word in objective if word.startswith("num_class:")), "0")
    return tuple(range(int(count)))


def _objective(booster: Any) -> list[str]:
    return str(booster.dump_model(num_iteration=1).get("objective", "custom")).split()


def _tables(
    booster: Any, columns: Sequence[Column], rows: pd.DataFrame | None, trees: Sequence[dict[str, Any]]
) -> dict[int, CategoryTable]:
    """Categoricals of pandas by the booster's own list, in their order; others are whole numbers in the splits."""
    listed = [
        place
        for place, column in enumerate(columns)
        if rows is not None and isinstance(rows[column.source].dtype, pd.CategoricalDtype)
    ]
    known = booster.pandas_categorical or []
    if len(known) != len(listed):
        raise ExportRefused(
            f"the model was fitted with {len(known)} pandas categoricals; the rows have {len(listed)}",
            hint="pass rows with the dtypes of the fit",
        )
    tables = {place: CategoryTable(tuple(keys)) for place, keys in zip(listed, known, strict=True)}
    codes: dict[int, set[int]] = {}
    for tree in trees:
        for node in _splits(tree):
            if node["decision_type"] == "==" and node["split_feature"] not in tables:
                codes.setdefault(node["split_feature"], set()).update(_codes(node))
    return tables | {place: CategoryTable(tuple(range(max(seen) + 1))) for place, seen in codes.items()}


def _splits(root: dict[str, Any]) -> list[dict[str, Any]]:
    found, pending = [], [root]
    while pending:
        node = pending.pop()
        if "split_feature" in node:
            found.append(node)
            pending += [node["left_child"], node["right_child"]]
    return found


def _tree(root: dict[str, Any], tables: dict[int, CategoryTable]) -> Tree:
    """Nodes in the order they are reached, the root first."""
    reached: list[dict[str, Any]] = [root]
    nodes = []
    for node in reached:  # grows while it is walked
        if "split_feature" not in node:
            nodes.append(Node(value=float(node["leaf_value"])))
            continue
        left = len(reached)
        reached += [node["left_child"], node["right_child"]]
        nodes.append(_split(node, tables, left))
    return tuple(nodes)


def _split(node: dict[str, Any], tables: dict[int, CategoryTable], left: int) -> Node:
    column = int(node["split_feature"])
    if node["decision_type"] == "==":
        # A category that is unseen or missing goes right.
        members = left_positions(tables[column], _codes(node), unseen_left=False, missing_left=False)
        return Node(column=column, left_positions=members, left=left, right=left + 1)
    threshold = float(node["threshold"])
    # Where no value was missing in the fit, a missing one counts as zero.
    missing_left = threshold >= 0 if node["missing_type"] == "None" else bool(node["default_left"])
    return Node(column=column, threshold=threshold, missing_left=missing_left, left=left, right=left + 1)


def _codes(node: dict[str, Any]) -> frozenset[int]:
    return frozenset(int(code) for code in str(node["threshold"]).split("||"))
