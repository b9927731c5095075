"""What skl2onnx makes of fitted steps and estimators, as nodes of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import TensorProto

from homeostat.model_export.columns import Column
from homeostat.model_export.libraries.ensembles import read_ensemble
from homeostat.model_export.named_graph import OPSETS, Graph, second_column
from homeostat.model_export.text.vectorizers import TEXT_OPSETS, converters, has_vectorizer
from homeostat.model_export.trees.tree_graph import add_matrix_ensemble
from shared.errors import ExportRefused

SUPPORTED = "use estimators and transformers from https://onnx.ai/sklearn-onnx/supported.html"
_PROBABILITIES = "probabilities"


def add_columns(
    graph: Graph,
    estimator: Any,
    columns: Sequence[Column],
    whole: int,
    real: int,
    options: Any,
    *,
    by_name: bool,
) -> str:
    """Add fitted steps, or an estimator, on the features; returns the output. Numbers are `real` tensors, whole ones `whole`.

    `by_name`: the first step selects columns; otherwise it takes one matrix. Raises ExportRefused for texts and numbers in it,
    and whatever skl2onnx raises.
    """
    from skl2onnx import convert_sklearn

    feeds: list[str] = []
    types: list[tuple[str, Any]] = []
    if by_name:
        for column in columns:
            element = _element(column, whole, real)
            feeds.append(graph.matrix([column], element))
            types.append((column.source, _type(element, 1)))
    else:
        texts = {column.feature.type in ("category", "text") for column in columns}
        if len(texts) > 1:
            raise ExportRefused(
                "the model takes texts and numbers in one matrix",
                hint="prepare the columns in a sklearn.compose.ColumnTransformer, the pipeline's first step",
            )
        element = TensorProto.STRING if True in texts else real
        feeds.append(graph.matrix(columns, element))
        types.append(("X", _type(element, len(columns))))
    opsets, extra = OPSETS, {}
    if has_vectorizer(estimator):
        opsets, extra = OPSETS | TEXT_OPSETS, converters(real)
    inner = convert_sklearn(estimator, initial_types=types, options=options, target_opset=opsets, **extra)
    return _add_converted(graph, inner, feeds, opsets)


def add_estimator(
    graph: Graph, estimator: Any, matrix: str, width: int, *, classes: int, raw: bool = False
) -> str:
    """Add a fitted estimator of scikit-learn on a float64 matrix [N, width]; returns its scores (of the second of two classes).

    `classes`: how many, if several. `raw`: the decision function instead. Raises ExportRefused.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    two = hasattr(estimator, "classes_") and not classes
    ensemble = read_ensemble(estimator, class_place=1 if two else None, classes=classes)
    if ensemble is not None:
        return add_matrix_ensemble(graph, ensemble, matrix)
    try:
        options: Any = {"zipmap": False} if two or classes else None
        if raw:
            options = raw_options(estimator)
        types = [("X", FloatTensorType([None, width]))]
        inner = to_onnx(estimator, initial_types=types, options=options, target_opset=OPSETS)
    except Exception as error:  # skl2onnx raises its own classes, RuntimeError, ValueError and others
        raise ExportRefused(
            f"skl2onnx cannot convert {type(estimator).__name__}: {first_line(error)}", hint=SUPPORTED
        ) from error
    found = _add_converted(graph, inner, [graph.node("Cast", [matrix], to=TensorProto.FLOAT)], OPSETS)
    return second_column(graph, found, 1) if two else found


def raw_options(estimator: Any) -> dict[int, Any]:
    """Options of skl2onnx for the estimator's decision function, as a tensor. Raises whatever skl2onnx raises."""
    from skl2onnx._supported_operators import get_model_alias
    from skl2onnx.common._registration import get_converter

    # LinearSVC has no `zipmap`: it returns a tensor anyway.
    known = get_converter(get_model_alias(type(estimator))).get_allowed_options()
    return {id(estimator): {"raw_scores": True} | ({"zipmap": False} if "zipmap" in known else {})}


def _add_converted(
    graph: Graph, inner: onnx.ModelProto, feeds: Sequence[str], opsets: Mapping[str, int]
) -> str:
    """Add what skl2onnx made; returns the probabilities or values."""
    names = [output.name for output in inner.graph.output]
    # skl2onnx renames inputs whose names are no identifiers, and keeps their order.
    connected = dict(zip((one.name for one in inner.graph.input), feeds, strict=True))
    output = _PROBABILITIES if _PROBABILITIES in names else names[-1]
    # It declares the lowest versions that have the operators, and writes them as asked for.
    return graph.include(inner, connected, output, opsets=opsets)


def _element(column: Column, whole: int, real: int) -> int:
    if column.feature.type == "integer" and column.feature.nullable:
        return real
    kinds = {"number": real, "integer": whole, "category": TensorProto.STRING, "text": TensorProto.STRING}
    return kinds.get(column.feature.type, whole)


def _type(element: int, width: int) -> Any:
    from skl2onnx.common import data_types

    kinds: dict[int, Any] = {
        TensorProto.FLOAT: data_types.FloatTensorType,
        TensorProto.DOUBLE: data_types.DoubleTensorType,
        TensorProto.INT64: data_types.Int64TensorType,
        TensorProto.STRING: data_types.StringTensorType,
    }
    return kinds[element]([None, width])


def first_line(error: Exception) -> str:
    """What an exception says first, or its class."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
