"""Writes an ensemble as nodes of an ONNX graph: one TreeEnsembleRegressor in float64, then the link.

Numbers reach the trees as float64, so that an integer is compared exactly. A category reaches them through a table: its position
selects a row with one entry per distinct split, 0 for left and 1 for right, so that no tree needs a chain of equalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from homeostat.model_export.columns import Column
from homeostat.model_export.named_graph import Graph
from homeostat.model_export.trees.ensemble import NEARLY, CategoryTable, Ensemble, Node

_SIDES = 0.5  # between left (0) and right (1)


def add_ensemble(
    graph: Graph, ensemble: Ensemble, *, numbers: str, places: Mapping[int, int], positions: Mapping[int, str]
) -> str:
    """Add the ensemble; returns the tensor of scores, [N, 1] or [N, classes].

    `numbers`: matrix of all numbers, or empty; `places`: where each number column is in it; `positions`: tensor int64 [N] of
    positions for each category column.
    """
    parts = []
    sides: dict[tuple[int, frozenset[int]], int] = {}
    for column, table in ensemble.tables().items():
        splits = _splits(ensemble, column)
        if not splits:
            continue
        right = np.array(
            [[position not in split for split in splits] for position in range(table.missing + 1)]
        )
        entries = graph.constant(right.astype(np.float64), "sides")
        parts.append(graph.node("Gather", [entries, positions[column]], axis=0))
        for split in splits:
            sides[column, split] = len(sides)
    if numbers:
        kind = TensorProto.FLOAT if ensemble.float32 else TensorProto.DOUBLE
        rounded = graph.node("Cast", [numbers], to=kind)
        real = graph.node("Cast", [rounded], to=TensorProto.DOUBLE)
        parts.append(_with_gaps(graph, ensemble, real, places))
    if not parts:
        raise ValueError("an ensemble needs at least one column")
    matrix = parts[0] if len(parts) == 1 else graph.node("Concat", parts, axis=1)
    attributes = _attributes(ensemble, places, sides)
    raw = graph.node("TreeEnsembleRegressor", [matrix], domain="ai.onnx.ml", **attributes)
    return _linked(graph, ensemble, graph.node("Cast", [raw], to=TensorProto.DOUBLE))


def _with_gaps(graph: Graph, ensemble: Ensemble, numbers: str, places: Mapping[int, int]) -> str:
    """The matrix of numbers with NaN where the ensemble takes a number for a missing one."""
    marked = {place for column, place in places.items() if ensemble.number_is_missing(column)}
    if ensemble.missing_number is None or not marked:
        return numbers
    width = max(places.values()) + 1
    kept = graph.constant(np.array([[place not in marked for place in range(width)]]), "kept")
    value = graph.constant(np.array(ensemble.missing_number, dtype=np.float64))
    distance = graph.node("Abs", [graph.node("Sub", [numbers, value])])
    far = graph.node("Greater", [distance, graph.constant(np.array(NEARLY, dtype=np.float64))])
    return graph.node(
        "Where",
        [graph.node("Or", [far, kept]), numbers, graph.constant(np.array(np.nan, dtype=np.float64))],
    )


def add_matrix_ensemble(graph: Graph, ensemble: Ensemble, numbers: str) -> str:
    """Add an ensemble whose columns are those of one matrix of numbers; returns the tensor of scores, [N, 1] or [N, classes]."""
    positions = {}
    for column, table in ensemble.tables().items():
        place = graph.constant(np.array([column], dtype=np.int64), "place")
        positions[column] = add_number_positions(graph, graph.node("Gather", [numbers, place], axis=1), table)
    split = {node.column for tree in ensemble.trees for node in tree if node.column >= 0}
    places = {column: column for column in split if column not in positions}
    return add_ensemble(graph, ensemble, numbers=numbers, places=places, positions=positions)


def add_positions(graph: Graph, column: Column, table: CategoryTable) -> str:
    """Positions int64 [N] of a feature's values in the table."""
    add = add_text_positions if column.feature.type == "category" else add_number_positions
    return add(graph, column.name, table)


def add_text_positions(graph: Graph, name: str, table: CategoryTable) -> str:
    """Positions int64 [N] of a text input [N, 1]. A missing category is served as an empty text."""
    keys = [*(key for key in table.keys if key != ""), ""]
    values = [*(position for position, key in enumerate(table.keys) if key != ""), table.missing]
    return _encode(graph, name, table, keys_strings=keys, values_int64s=values)


def add_number_positions(graph: Graph, numbers: str, table: CategoryTable) -> str:
    """Positions int64 [N] of whole numbers, a tensor [N, 1] of any number type; missing if NaN."""
    real = graph.node("Cast", [numbers], to=TensorProto.DOUBLE)
    gone = graph.node("IsNaN", [real])
    # The smallest whole number stands for a missing one: a cast of NaN is not defined.
    low = -(2**53)
    known = graph.node("Where", [gone, graph.constant(np.array(low, dtype=np.float64)), real])
    whole = graph.node("Cast", [known], to=TensorProto.INT64)
    keys = [*map(int, table.keys), low]
    return _encode(
        graph, whole, table, keys_int64s=keys, values_int64s=[*range(len(table.keys)), table.missing]
    )


def _encode(graph: Graph, tensor: str, table: CategoryTable, **attributes: Any) -> str:
    encoded = graph.node(
        "LabelEncoder", [tensor], domain="ai.onnx.ml", default_int64=table.unseen, **attributes
    )
    return graph.node("Reshape", [encoded, graph.constant(np.array([-1], dtype=np.int64), "flat")])


def _splits(ensemble: Ensemble, column: int) -> list[frozenset[int]]:
    """The distinct splits of a category column, in the order of the trees."""
    found = (
        node.left_positions
        for tree in ensemble.trees
        for node in tree
        if node.column == column and node.left_positions is not None
    )
    return list(dict.fromkeys(found))


def _attributes(
    ensemble: Ensemble, places: Mapping[int, int], sides: Mapping[tuple[int, frozenset[int]], int]
) -> dict[str, Any]:
    trees = ensemble.trees or ((Node(),),)
    nodes = [
        (tree, number, node) for tree, all_nodes in enumerate(trees) for number, node in enumerate(all_nodes)
    ]
    leaves = [(tree, number, node) for tree, number, node in nodes if node.column < 0]
    branch = "BRANCH_LT" if ensemble.strict else "BRANCH_LEQ"

    def column(node: Node) -> int:
        if node.column < 0:
            return 0
        if node.left_positions is None:
            return len(sides) + places[node.column]
        return sides[node.column, node.left_positions]

    thresholds = [_SIDES if node.left_positions is not None else node.threshold for _, _, node in nodes]
    weights = [
        (tree, number, target, weight)
        for tree, number, node in leaves
        for target, weight in _targets(node, tree, ensemble.width)
    ]
    base = ensemble.base if isinstance(ensemble.base, tuple) else (ensemble.base,) * max(1, ensemble.width)
    return {
        "n_targets": max(1, ensemble.width),
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "base_values_as_tensor": _doubles("base", list(base)),
        "nodes_treeids": [tree for tree, _, _ in nodes],
        "nodes_nodeids": [number for _, number, _ in nodes],
        "nodes_featureids": [column(node) for _, _, node in nodes],
        "nodes_modes": ["LEAF" if node.column < 0 else branch for _, _, node in nodes],
        "nodes_values_as_tensor": _doubles("thresholds", thresholds),
        "nodes_truenodeids": [max(node.left, 0) for _, _, node in nodes],
        "nodes_falsenodeids": [max(node.right, 0) for _, _, node in nodes],
        "nodes_missing_value_tracks_true": [int(node.missing_left) for _, _, node in nodes],
        "target_treeids": [tree for tree, _, _, _ in weights],
        "target_nodeids": [number for _, number, _, _ in weights],
        "target_ids": [target for _, _, target, _ in weights],
        "target_weights_as_tensor": _doubles("leaves", [weight for _, _, _, weight in weights]),
    }


def _targets(node: Node, tree: int, width: int) -> list[tuple[int, float]]:
    """The classes that a leaf adds to: all of them, or the one whose turn the tree is."""
    if isinstance(node.value, tuple):
        return list(enumerate(node.value))
    return [(tree % width if width else 0, node.value)]


def _doubles(name: str, values: list[float]) -> Any:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)


def _linked(graph: Graph, ensemble: Ensemble, raw: str) -> str:
    if ensemble.link == "sigmoid":
        scaled = raw
        if ensemble.scale != 1.0:
            scaled = graph.node("Mul", [raw, graph.constant(np.array(ensemble.scale, dtype=np.float64))])
        return graph.node("Sigmoid", [scaled])
    if ensemble.link == "softmax":
        return graph.node("Softmax", [raw], axis=1)
    if ensemble.link == "shares":
        # One score per class, each of a sigmoid, divided by their sum.
        scaled = graph.node("Mul", [raw, graph.constant(np.array(ensemble.scale, dtype=np.float64))])
        each = graph.node("Sigmoid", [scaled])
        axis = graph.constant(np.array([1], dtype=np.int64), "axis")
        return graph.node("Div", [each, graph.node("ReduceSum", [each, axis], keepdims=1)])
    if ensemble.link == "exp":
        return graph.node("Exp", [raw])
    if ensemble.link == "signed_square":
        return graph.node("Mul", [raw, graph.node("Abs", [raw])])
    return raw
