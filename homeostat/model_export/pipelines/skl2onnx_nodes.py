"""What skl2onnx makes of fitted steps and estimators, as nodes of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import TensorProto

from homeostat.model_export.columns import Column
from homeostat.model_export.libraries.ensembles import read_ensemble
from homeostat.model_export.named_graph import OPSETS, Graph, second_column
from homeostat.model_export.pipelines.structure import split_steps
from homeostat.model_export.text.vectorizers import TEXT_OPSETS, converters, has_vectorizer, parts
from homeostat.model_export.trees.tree_graph import add_matrix_ensemble
from shared.errors import ExportRefused

SUPPORTED = "use estimators and transformers from https://onnx.ai/sklearn-onnx/supported.html"
_HOLDERS = ("steps", "transformers_", "transformer_list")
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
    opsets, extra = dict(graph.opsets), {}
    if has_vectorizer(estimator):
        opsets, extra = opsets | TEXT_OPSETS, converters(real)
    inner = convert_sklearn(estimator, initial_types=types, options=options, target_opset=opsets, **extra)
    return _add_converted(graph, inner, feeds, opsets)


def add_estimator(
    graph: Graph, estimator: Any, matrix: str, width: int, *, classes: int, raw: bool = False
) -> str:
    """Add a fitted estimator, or steps and an estimator, on a float64 matrix [N, width]; returns its scores (of the second of two
    classes).

    `classes`: how many, if several. `raw`: the decision function instead. Raises ExportRefused.
    """
    two = hasattr(estimator, "classes_") and not classes
    steps, last = split_steps(estimator)
    ensemble = read_ensemble(last, class_place=1 if two else None, classes=classes)
    if ensemble is not None:
        if steps is not None:
            matrix = _add_on_matrix(graph, steps, matrix, width, TensorProto.DOUBLE, None)
        return add_matrix_ensemble(graph, ensemble, matrix)
    options: Any = {"zipmap": False} if two or classes else None
    found = _add_on_matrix(
        graph, estimator, matrix, width, TensorProto.FLOAT, options, raw=last if raw else None
    )
    return second_column(graph, found, 1) if two else found


def _add_on_matrix(
    graph: Graph, estimator: Any, matrix: str, width: int, element: int, options: Any, *, raw: Any = None
) -> str:
    """`raw`: the last step, if its decision function is the output."""
    from skl2onnx import to_onnx

    opsets = {domain: version for domain, version in graph.opsets.items() if domain in OPSETS}
    try:
        if raw is not None:
            options = raw_options(raw)
        types = [("X", _type(element, width))]
        inner = to_onnx(estimator, initial_types=types, options=options, target_opset=opsets)
    except Exception as error:  # skl2onnx raises its own classes, RuntimeError, ValueError and others
        raise ExportRefused(
            f"skl2onnx cannot convert {type(split_steps(estimator)[1]).__name__}: {first_line(error)}",
            hint=conversion_hint(estimator),
        ) from error
    feed = graph.node("Cast", [matrix], to=element)
    return _add_converted(graph, inner, [feed], opsets)


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


def conversion_hint(estimator: Any) -> str:
    """What to do if skl2onnx fails: which steps it has no converter of, or that options of the steps are in the way."""
    from skl2onnx._supported_operators import sklearn_operator_name_map

    unknown = {
        type(step).__name__
        for step in parts(estimator)
        if not any(hasattr(step, one) for one in _HOLDERS) and type(step) not in sklearn_operator_name_map
    }
    if unknown:
        return f"skl2onnx has no converter of {', '.join(sorted(unknown))}: {SUPPORTED}"
    return (
        "skl2onnx has converters of these steps, but not of their options or columns: docs/what-fits.md lists what is exported; "
        "replace the step that the message names, or compute its result in the rows before fitting"
    )


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
