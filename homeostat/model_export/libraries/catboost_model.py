"""CatBoost: `CatBoost`, `CatBoostClassifier`, `CatBoostRegressor` read from the JSON; with categories, symmetric trees only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.libraries.catboost_categories import Categories, model_json
from homeostat.model_export.prediction_kind import VALUE, of_classes
from homeostat.model_export.trees.ensemble import Ensemble, Link, Node, Tree
from homeostat.model_export.trees.tree_model import SHARES_OF_SUM, TreeModel
from shared.errors import ExportRefused

_LINKS: dict[str, Link] = {
    "Logloss": "sigmoid",
    "CrossEntropy": "sigmoid",
    "MultiClass": "softmax",
    "MultiClassOneVsAll": "shares",
    "RMSE": "identity",
    "MAE": "identity",
    "MAPE": "identity",
    "Quantile": "identity",
    "Huber": "identity",
    "LogCosh": "identity",
    "Expectile": "identity",
    "Poisson": "exp",
    "Tweedie": "exp",
}


def catboost_model(model: Any, *, positive: Any = None) -> TreeModel:
    """A fitted model of any of CatBoost's classes."""
    import catboost

    _refuse_other_features(model)
    loss = _loss(model)
    classes = tuple(model.classes_) if _LINKS[loss] in ("sigmoid", "softmax", "shares") else ()
    kind = of_classes(classes, positive=positive) if classes else VALUE
    place = list(classes).index(kind.positive) if kind.name == "probability" else None
    names = list(model.feature_names_)
    named = names != [str(number) for number in range(len(names))]

    def predict(rows: pd.DataFrame) -> Any:
        given: Any = rows if named else rows.to_numpy()
        if classes:
            # An estimator's class may have methods of its own; CatBoost, as files are read, has none.
            probabilities = np.asarray(
                model.predict_proba(given)
                if hasattr(model, "predict_proba")
                else model.predict(given, prediction_type="Probability")
            )
            if _LINKS[loss] == "shares":
                probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
            return probabilities if place is None else probabilities[:, place]
        if isinstance(model, catboost.CatBoostRegressor):
            return model.predict(given)
        return model.predict(given, prediction_type="Exponent" if _LINKS[loss] == "exp" else "RawFormulaVal")

    return TreeModel(
        library="CatBoost",
        kind=kind,
        classes=classes,
        names=names if named else (),
        count=len(names),
        predict=predict,
        read=lambda columns, rows: _read(model, _LINKS[loss], columns, rows, named=named, flipped=place == 0),
        warnings=[SHARES_OF_SUM.format(objective=loss)] if _LINKS[loss] == "shares" else (),
    )


def _read(
    model: Any, link: Link, columns: Sequence[Column], rows: pd.DataFrame, *, named: bool, flipped: bool
) -> Ensemble:
    content = model_json(model, columns, rows, named=named)
    scale, bias = content["scale_and_bias"]
    width = len(bias) if link in ("softmax", "shares") else 0
    if len(bias) > 1 and not width:
        raise ExportRefused("the model predicts several values per row", hint="fit one model per target")
    splits = _Splits(content["features_info"])
    known = Categories(model, content, columns, rows, named=named)
    sign = -scale if flipped else scale
    if "oblivious_trees" in content:
        found = [
            _tree(number, tree, splits, known, sign, width)
            for number, tree in enumerate(content["oblivious_trees"])
        ]
    else:
        found = [_asymmetric(tree, splits, sign, width) for tree in content["trees"]]
    known.require_known()
    return Ensemble(
        tuple(found),
        base=tuple(bias) if width else -bias[0] if flipped else bias[0],
        width=width,
        link=link,
        float32=True,
        categories=known.tables,
    )


def read_catboost(model: Any, *, flipped: bool = False) -> Ensemble:
    """The trees of a model on a matrix of numbers, as the last step of a pipeline has it. Raises ExportRefused for categories."""
    _refuse_other_features(model)
    if model.get_cat_feature_indices():
        raise ExportRefused(
            "CatBoost with cat_features after other steps cannot be exported",
            hint="give CatBoost the raw columns, or encode categories in the step before it",
        )
    return _read(model, _LINKS[_loss(model)], (), pd.DataFrame(), named=False, flipped=flipped)


def _refuse_other_features(model: Any) -> None:
    """Raises ExportRefused for features of texts or embeddings."""
    for option in ("text_features", "embedding_features"):
        if places := getattr(model, f"get_{option[:-1]}_indices")():
            names = ", ".join(repr(model.feature_names_[place]) for place in places)
            raise ExportRefused(
                f"CatBoost's {option} cannot be exported: {names}",
                hint="turn them into numbers first, such as with TfidfVectorizer in a pipeline",
            )


def _loss(model: Any) -> str:
    loss = str(model.get_all_params()["loss_function"]).partition(":")[0]
    if loss not in _LINKS:
        raise ExportRefused(
            f"CatBoost's loss function {loss} cannot be exported",
            hint=f"fit with one of: {', '.join(sorted(_LINKS))}",
        )
    return loss


class _Splits:
    """Where the columns of CatBoost's splits are among the model's columns."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self._numbers = {one["feature_index"]: one for one in info.get("float_features", ())}
        self._texts = {
            one["feature_index"]: one["flat_feature_index"] for one in info.get("categorical_features", ())
        }
        # CatBoost numbers splits through: borders of numbers, then single categories, then statistics.
        first = sum(len(one["borders"]) for one in info.get("float_features", ()))
        first += sum(len(one.get("values", ())) for one in info.get("categorical_features", ()))
        self._statistics: dict[int, Sequence[Mapping[str, Any]]] = {}
        for one in info.get("ctrs", ()):
            for _ in one["borders"]:
                self._statistics[first] = one["elements"]
                first += 1

    def number(self, split: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The number that a split compares; None if it is a split by category."""
        if split["split_type"] != "FloatFeature":
            return None
        found: Mapping[str, Any] = self._numbers[split["float_feature_index"]]
        return found

    def categories(self, split: Mapping[str, Any]) -> tuple[int, ...]:
        """The category columns whose combination a split is about."""
        if split["split_type"] == "OneHotFeature":
            return (self._texts[split["cat_feature_index"]],)
        elements = self._statistics.get(split["split_index"], ())
        if not elements or any("cat_feature_index" not in one for one in elements):
            raise ExportRefused(
                "the model combines categories with numbers",
                hint="fit with max_ctr_complexity=1, or one_hot_max_size=255",
            )
        return tuple(sorted({self._texts[one["cat_feature_index"]] for one in elements}))


def _tree(
    number: int, tree: Mapping[str, Any], splits: _Splits, known: Categories, factor: float, width: int
) -> Tree:
    """A symmetric tree as nodes: the root tests the highest bit of the leaf's number, each level the next."""
    asks = tree["splits"] or ()  # null in a tree of a single leaf
    depth = len(asks)
    nodes = []
    for level in range(depth):
        bit = depth - 1 - level
        split = asks[bit]
        for place in range(2**level):
            first = 2 ** (level + 1) - 1 + 2 * place
            nodes.append(_node(number, bit, split, splits, known, first))
    values = np.array(tree["leaf_values"], dtype=np.float64) * factor
    leaves = map(tuple, values.reshape(-1, width).tolist()) if width else values.tolist()
    return (*nodes, *(Node(value=value) for value in leaves))


def _asymmetric(root: Mapping[str, Any], splits: _Splits, factor: float, width: int) -> Tree:
    """Nodes in the order they are reached, the root first."""
    reached: list[Mapping[str, Any]] = [root]
    nodes = []
    for node in reached:  # grows while it is walked
        if "split" not in node:
            values = np.atleast_1d(np.array(node["value"], dtype=np.float64)) * factor
            nodes.append(Node(value=tuple(values.tolist()) if width else float(values[0])))
            continue
        feature = splits.number(node["split"])
        if feature is None:
            raise ExportRefused(
                "CatBoost's asymmetric trees with categories cannot be exported",
                hint="fit with grow_policy='SymmetricTree', or without cat_features",
            )
        first = len(reached)
        reached += [node["left"], node["right"]]
        nodes.append(_number_node(feature, node["split"], first))
    return tuple(nodes)


def _number_node(feature: Mapping[str, Any], split: Mapping[str, Any], first: int) -> Node:
    """A row goes right where the number is above the border."""
    return Node(
        column=int(feature["flat_feature_index"]),
        threshold=float(split["border"]),
        missing_left=feature["nan_value_treatment"] != "AsTrue",
        left=first,
        right=first + 1,
    )


def _node(
    number: int, bit: int, split: Mapping[str, Any], splits: _Splits, known: Categories, first: int
) -> Node:
    feature = splits.number(split)
    if feature is not None:
        return _number_node(feature, split, first)
    columns = splits.categories(split)
    if len(columns) > 1:
        raise ExportRefused(
            "the model combines several categories",
            hint="fit with max_ctr_complexity=1, or one_hot_max_size=255",
        )
    [column] = columns
    table = known.tables[column]
    right = known.positions_with_bit(column, number, bit)
    return Node(
        column=column,
        left_positions=frozenset(range(table.missing + 1)) - right,
        left=first,
        right=first + 1,
    )
