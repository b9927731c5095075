"""Estimators of scikit-learn that are made of fitted ones: voting, stacking, calibration, bagging, transformed targets.

Each part is exported with the steps before it, as if it were the whole model; nodes of the graph then combine their scores as the
estimator does. So parts may be of any library, and pipelines of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto

from homeostat.model_export.columns import Column
from homeostat.model_export.named_graph import Graph, converted_scores
from homeostat.model_export.pipelines.calibrators import add_calibrated, add_inverse
from homeostat.model_export.pipelines.skl2onnx_nodes import add_estimator
from homeostat.model_export.source_model import SourceModel
from shared.errors import ExportRefused

# Of a scikit-learn estimator after steps, the last is the one on prepared columns.
_MAX_CONVERSIONS = 4
MakePart = Callable[[Any, bool], SourceModel]


@dataclass(frozen=True)
class Composite:
    """`parts`: fitted estimators with the steps before them; `raw`: whether their decision function counts, not their scores.

    `combine` adds nodes that make one tensor of the parts' tensors: float64, [N, 1], or [N, classes] of several classes.
    """

    parts: Sequence[Any]
    raw: Sequence[bool]
    combine: Callable[[Graph, Sequence[str]], str]


def unwrapped(estimator: Any) -> Any:
    """The estimator that a search, a threshold or a pipeline within a pipeline holds; pipelines become one."""
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, Pipeline):
        steps = [(name, step) for name, step in estimator.steps if step is not None and step != "passthrough"]
        if not steps:
            return estimator
        last = unwrapped(steps[-1][1])
        ending = last.steps if isinstance(last, Pipeline) else [(steps[-1][0], last)]
        if len(ending) == 1 and len(steps) == len(estimator.steps) and ending[0][1] is steps[-1][1]:
            return estimator
        before = steps[:-1]
        return Pipeline(
            [*before, *((f"{name}_{len(before) + place}", one) for place, (name, one) in enumerate(ending))]
        )
    if not type(estimator).__module__.startswith("sklearn."):
        return estimator
    for holder in ("best_estimator_", "estimator_"):
        inner = vars(estimator).get(holder)
        if inner is not None and type(estimator).__module__.startswith("sklearn.model_selection"):
            return unwrapped(inner)
    if type(estimator).__name__ == "FrozenEstimator":
        return unwrapped(estimator.estimator)
    return estimator


def read_composite(estimator: Any, *, classes: int, values: int = 0) -> Composite | None:
    """How the estimator, or the last step of the pipeline, combines others; None if it does not.

    `classes`: how many, of several; `values`: how many numbers it predicts, of several. Raises ExportRefused for a combination
    that is not known.
    """
    from sklearn.pipeline import Pipeline

    steps = list(estimator.steps[:-1]) if isinstance(estimator, Pipeline) else []
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    reader = _READERS.get(type(last).__name__)
    if reader is None or not type(last).__module__.startswith("sklearn."):
        return None
    if (reader is _several_values) != bool(values):
        return None
    found = reader(last, classes)
    if found is None or not steps:
        return found
    parts = [unwrapped(Pipeline([*steps, ("part", part)])) for part in found.parts]
    return Composite(parts, found.raw, found.combine)


def composite_conversions(
    composite: Composite,
    columns: Sequence[Column],
    rows: pd.DataFrame,
    *,
    make: MakePart,
    finish: Callable[[Graph, str], onnx.ModelProto],
) -> Iterator[onnx.ModelProto]:
    """One conversion with the first conversion of each part, one with the second, and so on; the last of a part is repeated."""
    known = {column.source: column for column in columns}
    found = []
    for estimator, raw in zip(composite.parts, composite.raw, strict=True):
        part = make(estimator, raw)
        mine = [known[name] for name in part.column_names(rows, list(known))]
        given = part.conversions(mine, rows[[column.source for column in mine]])
        found.append(list(islice(given, _MAX_CONVERSIONS)))
    for place in range(max(map(len, found))):
        graph = Graph(columns)
        tensors = []
        for models in found:
            model = models[min(place, len(models) - 1)]
            assert not isinstance(model, bytes)  # a part is always converted
            feeds = {one.name: one.name for one in model.graph.input}
            scores = graph.include(model, feeds, converted_scores(model))
            tensors.append(graph.node("Cast", [scores], to=TensorProto.DOUBLE))
        yield finish(graph, composite.combine(graph, tensors))


def _constant(graph: Graph, value: Any) -> str:
    return graph.constant(np.array(value, dtype=np.float64))


def weighted_mean(graph: Graph, tensors: Sequence[str], weights: Sequence[float]) -> str:
    """The weighted mean of tensors of the same shape."""
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    parts = [
        graph.node("Mul", [tensor, _constant(graph, share)])
        for tensor, share in zip(tensors, shares, strict=True)
    ]
    return parts[0] if len(parts) == 1 else graph.node("Sum", parts)


def _mean(parts: Sequence[Any], weights: Sequence[float] | None, *, classes: int) -> Composite:
    _same_classes(parts, classes)
    shares = [1.0] * len(parts) if weights is None else list(weights)

    def combine(graph: Graph, tensors: Sequence[str]) -> str:
        return weighted_mean(graph, tensors, shares)

    return Composite(list(parts), [False] * len(parts), combine)


def _same_classes(parts: Sequence[Any], classes: int) -> None:
    for part in parts:
        if classes and len(part.classes_) != classes:
            raise ExportRefused(
                f"a part of the model, {type(part).__name__}, was fitted on {len(part.classes_)} of {classes} classes",
                hint="fit with fewer folds, or on more rows of the rare classes",
            )


def _voting(estimator: Any, classes: int) -> Composite:
    return _mean(estimator.estimators_, estimator._weights_not_none, classes=classes)


def _bagging(estimator: Any, classes: int) -> Composite | None:
    everything = list(range(estimator.n_features_in_))
    if any(list(places) != everything for places in estimator.estimators_features_):
        return None
    if hasattr(estimator, "classes_") and not hasattr(estimator.estimators_[0], "predict_proba"):
        return None
    return _mean(estimator.estimators_, None, classes=classes)


def _calibrated(estimator: Any, classes: int) -> Composite | None:
    pairs = estimator.calibrated_classifiers_
    if any(pair.method not in ("sigmoid", "isotonic") for pair in pairs):
        return None
    parts = [unwrapped(pair.estimator) for pair in pairs]
    _same_classes(parts, classes)

    def combine(graph: Graph, tensors: Sequence[str]) -> str:
        ready = [
            add_calibrated(graph, pair.calibrators, tensor)
            for pair, tensor in zip(pairs, tensors, strict=True)
        ]
        return weighted_mean(graph, ready, [1.0] * len(ready))

    return Composite(parts, [hasattr(part, "decision_function") for part in parts], combine)


def _one_vs_rest(estimator: Any, classes: int) -> Composite | None:
    parts = estimator.estimators_
    if estimator.multilabel_ or not all(
        hasattr(part, "predict_proba") and hasattr(part, "classes_") for part in parts
    ):
        return None

    def combine(graph: Graph, tensors: Sequence[str]) -> str:
        if len(tensors) == 1:
            return tensors[0]
        flat = graph.constant(np.array([-1, 1], dtype=np.int64), "column")
        side = graph.node("Concat", [graph.node("Reshape", [tensor, flat]) for tensor in tensors], axis=1)
        total = graph.node(
            "ReduceSum", [side, graph.constant(np.array([1], dtype=np.int64), "axis")], keepdims=1
        )
        return graph.node("Div", [side, total])

    return Composite(parts, [False] * len(parts), combine)


def _transformed_target(estimator: Any, classes: int) -> Composite:
    part = unwrapped(estimator.regressor_)
    return Composite(
        [part], [False], lambda graph, tensors: add_inverse(graph, estimator.transformer_, tensors[0])
    )


def _stacking(estimator: Any, classes: int) -> Composite | None:
    methods = estimator.stack_method_
    if estimator.passthrough or any(
        method not in ("predict_proba", "decision_function", "predict") for method in methods
    ):
        return None
    if hasattr(estimator, "classes_") and "predict" in methods:
        return None
    parts = list(estimator.estimators_)
    _same_classes(parts, classes)
    final = estimator.final_estimator_

    def combine(graph: Graph, tensors: Sequence[str]) -> str:
        width = max(classes, 1)
        shape = graph.constant(np.array([-1, width], dtype=np.int64), "shape")
        blocks = [graph.node("Reshape", [tensor, shape]) for tensor in tensors]
        matrix = blocks[0] if len(blocks) == 1 else graph.node("Concat", blocks, axis=1)
        return add_estimator(graph, final, matrix, width * len(blocks), classes=classes)

    return Composite(parts, [method == "decision_function" for method in methods], combine)


def _several_values(estimator: Any, classes: int) -> Composite:
    def combine(graph: Graph, tensors: Sequence[str]) -> str:
        flat = graph.constant(np.array([-1, 1], dtype=np.int64), "column")
        columns = [graph.node("Reshape", [tensor, flat]) for tensor in tensors]
        return graph.node("Concat", columns, axis=1)

    parts = list(estimator.estimators_)
    return Composite(parts, [False] * len(parts), combine)


_READERS: dict[str, Callable[[Any, int], Composite | None]] = {
    "VotingClassifier": _voting,
    "VotingRegressor": _voting,
    "StackingClassifier": _stacking,
    "StackingRegressor": _stacking,
    "CalibratedClassifierCV": _calibrated,
    "BaggingClassifier": _bagging,
    "BaggingRegressor": _bagging,
    "OneVsRestClassifier": _one_vs_rest,
    "TransformedTargetRegressor": _transformed_target,
    "MultiOutputRegressor": _several_values,
}
