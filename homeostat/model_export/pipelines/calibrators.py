"""Functions of one score as nodes of a graph: calibrators of probabilities, and inverses of a regression's target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from homeostat.model_export.named_graph import Graph
from homeostat.model_export.prediction_kind import Floats
from homeostat.model_export.trees.ensemble import Ensemble, Node, Tree
from homeostat.model_export.trees.tree_graph import add_matrix_ensemble
from shared.errors import ExportRefused

# The graph's operator for the inverse of a target's transformation, by the name of the numpy function.
_INVERSES = {"exp": "Exp", "expm1": "Exp", "sqrt": "Sqrt", "log": "Log", "log1p": "Log", "square": "Mul"}
_PROBES = np.array([-3.0, -1.0, 0.0, 0.5, 2.0, 7.0])


def add_calibrated(graph: Graph, calibrators: Sequence[Any], scores: str) -> str:
    """Calibrated probabilities: [N, 1] of two classes, [N, classes] of several, whose sum is then 1.

    `scores`: float64, [N] or [N, classes], one column per calibrator. If every calibrator returns zero, all classes are equally
    probable (sklearn.calibration.CalibratedClassifierCV).
    """
    count = len(calibrators)
    matrix = graph.node("Reshape", [scores, graph.constant(np.array([-1, count], dtype=np.int64), "shape")])
    columns = []
    for place, calibrator in enumerate(calibrators):
        column = matrix
        if count > 1:
            chosen = graph.constant(np.array([place], dtype=np.int64), "place")
            column = graph.node("Gather", [matrix, chosen], axis=1)
        columns.append(_calibrated(graph, calibrator, column))
    if count == 1:
        return columns[0]
    side = graph.node("Concat", columns, axis=1)
    total = graph.node("ReduceSum", [side, graph.constant(np.array([1], dtype=np.int64), "axis")], keepdims=1)
    none = graph.node("Equal", [total, _number(graph, 0.0)])
    return graph.node("Where", [none, _number(graph, 1.0 / count), graph.node("Div", [side, total])])


def add_inverse(graph: Graph, transformer: Any, values: str) -> str:
    """The inverse of a target's transformation: exp, expm1, square, sqrt, log, log1p, or a line such as a scaler's.

    Raises ExportRefused for another one.
    """
    function = getattr(transformer, "inverse_func", None)
    name = getattr(function, "__name__", "")
    if name in _INVERSES and function is getattr(np, name):
        if name == "square":
            return graph.node("Mul", [values, values])
        if name == "log1p":
            values = graph.node("Add", [values, _number(graph, 1.0)])
        made = graph.node(_INVERSES[name], [values])
        return graph.node("Sub", [made, _number(graph, 1.0)]) if name == "expm1" else made
    try:
        image = np.ravel(transformer.inverse_transform(_PROBES.reshape(-1, 1))).astype(np.float64)
        slope, offset = np.polyfit(_PROBES, image, 1)
        straight = bool(
            np.allclose(slope * _PROBES + offset, image, rtol=1e-9, atol=1e-9 * np.abs(image).max())
        )
    except Exception:  # whatever the transformer raises for values it refuses
        straight = False
    if not straight:
        raise ExportRefused(
            f"the inverse of the target's transformation, {name or type(transformer).__name__}, cannot be exported",
            hint="use func=np.log1p with inverse_func=np.expm1, np.log with np.exp, np.sqrt with np.square, or a scaler",
        )
    scaled = graph.node("Mul", [values, _number(graph, slope)])
    return graph.node("Add", [scaled, _number(graph, offset)])


def _calibrated(graph: Graph, calibrator: Any, column: str) -> str:
    if hasattr(calibrator, "X_thresholds_"):
        return _interpolated(
            graph,
            np.asarray(calibrator.X_thresholds_, float),
            np.asarray(calibrator.y_thresholds_, float),
            column,
        )
    # Platt's sigmoid: 1 / (1 + exp(a * score + b)).
    line = graph.node(
        "Add", [graph.node("Mul", [column, _number(graph, -calibrator.a_)]), _number(graph, -calibrator.b_)]
    )
    return graph.node("Sigmoid", [line])


def _interpolated(graph: Graph, known: Floats, values: Floats, column: str) -> str:
    """Linear interpolation between known points, and the ends' values beyond them: a tree finds the piece."""
    slopes = np.diff(values) / np.maximum(np.diff(known), np.finfo(np.float64).tiny)
    # Piece p is a line through its left point: (x at the point, y at the point, slope).
    pieces = [
        (known[0], values[0], 0.0),
        *zip(known[:-1], values[:-1], slopes, strict=True),
        (known[-1], values[-1], 0.0),
    ]
    tree = _search_tree([float(one) for one in known], [tuple(map(float, piece)) for piece in pieces])
    found = add_matrix_ensemble(graph, Ensemble((tree,), width=3, strict=True), column)
    start, value, slope = (
        graph.node("Gather", [found, graph.constant(np.array([place], dtype=np.int64), "place")], axis=1)
        for place in range(3)
    )
    rise = graph.node("Mul", [graph.node("Sub", [column, start]), slope])
    return graph.node("Add", [value, rise])


def _search_tree(limits: Sequence[float], leaves: Sequence[tuple[float, ...]]) -> Tree:
    """A balanced tree: x < limits[0] finds leaves[0], x < limits[1] leaves[1], and so on."""
    nodes: list[Node] = []

    def add(first: int, last: int) -> int:
        number = len(nodes)
        nodes.append(Node(value=leaves[first]))
        if first < last:
            middle = (first + last) // 2
            left, right = add(first, middle), add(middle + 1, last)
            nodes[number] = Node(column=0, threshold=limits[middle], left=left, right=right)
        return number

    add(0, len(leaves) - 1)
    return tuple(nodes)


def _number(graph: Graph, value: float) -> str:
    return graph.constant(np.array(value, dtype=np.float64))
