"""scikit-learn's HistGradientBoosting, read from its predictors: skl2onnx cannot convert those of today's scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from homeostat.model_export.trees.ensemble import (
    CategoryTable,
    Ensemble,
    Link,
    Node,
    Tree,
    left_positions,
    scaled,
)
from shared.errors import ExportRefused

_LINKS: dict[str, Link] = {
    "IdentityLink": "identity",
    "LogitLink": "sigmoid",
    "HalfLogitLink": "sigmoid",
    "LogLink": "exp",
    "MultinomialLogit": "softmax",
}


def read_hist_gradient_boosting(estimator: Any, *, flipped: bool = False) -> Ensemble:
    """The ensemble; columns are numbered as in the fit. `flipped`: the score is the probability of the first class."""
    name = type(estimator._loss.link).__name__
    predictors = [predictor for stage in estimator._predictors for predictor in stage]
    if name not in _LINKS:
        raise ExportRefused(
            f"{type(estimator).__name__} with the link {name} cannot be exported",
            hint="fit with another loss",
        )
    order, tables = _columns(estimator)
    factor = -1.0 if flipped else 1.0
    scale = 2.0 if name == "HalfLogitLink" else 1.0
    trees = [scaled(tree, factor) if flipped else tree for tree in _trees(predictors, order, tables)]
    bases = tuple((factor * np.ravel(estimator._baseline_prediction)).tolist())
    return Ensemble(
        tuple(trees),
        base=bases if len(bases) > 1 else bases[0],
        width=len(bases) if len(bases) > 1 else 0,
        link=_LINKS[name],
        scale=scale,
        categories=tables,
    )


def _columns(estimator: Any) -> tuple[list[int], dict[int, CategoryTable]]:
    """The columns of the fit in the trees' order, where categories come first, and the categories' tables."""
    count = int(estimator.n_features_in_)
    flags = estimator.is_categorical_
    if flags is None or not np.any(flags):
        return list(range(count)), {}
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    places = [int(place) for place in np.flatnonzero(flags)]
    order = [*places, *(place for place in range(count) if not flags[place])]
    tables = {}
    for place, values in zip(places, encoder.categories_, strict=True):
        # A missing value is the last category of the encoder, and none of the trees'.
        kept = [value for value in values if value is not None and value == value]
        if not all(isinstance(value, str) or float(value).is_integer() for value in kept):
            raise ExportRefused(
                f"the categories of column {place} are neither texts nor whole numbers",
                hint="use texts as categories",
            )
        keys = tuple(value if isinstance(value, str) else int(value) for value in kept)
        tables[place] = CategoryTable(keys)  # type: ignore[arg-type]
    return order, tables


def _trees(predictors: list[Any], order: list[int], tables: dict[int, CategoryTable]) -> Iterator[Tree]:
    for predictor in predictors:
        yield tuple(_node(node, predictor, order, tables) for node in predictor.nodes)


def _node(node: Any, predictor: Any, order: list[int], tables: dict[int, CategoryTable]) -> Node:
    if node["is_leaf"]:
        return Node(value=float(node["value"]))
    column, missing_left = order[int(node["feature_idx"])], bool(node["missing_go_to_left"])
    positions = None
    if node["is_categorical"]:
        words = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
        codes = frozenset(code for code in range(32 * len(words)) if words[code // 32] >> (code % 32) & 1)
        # The encoder turns an unseen category into a missing one.
        positions = left_positions(tables[column], codes, unseen_left=missing_left, missing_left=missing_left)
    return Node(
        column=column,
        threshold=float(node["num_threshold"]),
        missing_left=missing_left,
        left_positions=positions,
        left=int(node["left"]),
        right=int(node["right"]),
    )
