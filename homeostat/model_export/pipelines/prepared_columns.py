"""Fitted steps of a pipeline as tables and lines: what scalers, imputers and encoders make of each raw column.

A category becomes a row of a table; a number becomes a line, slope * number + offset, and a value of its own where it is missing.
Both are found by asking the steps themselves, so it does not matter which steps they are. Words of texts are counted by nodes of
their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from onnx import TensorProto

from homeostat.model_export.columns import Column
from homeostat.model_export.named_graph import Graph
from homeostat.model_export.pipelines.linear_steps import same_for_all
from homeostat.model_export.pipelines.preparation import NotColumnwise, Preparation
from homeostat.model_export.pipelines.text_branches import add_text_branch, split_texts
from homeostat.model_export.prediction_kind import Floats
from homeostat.model_export.trees.ensemble import Ensemble
from homeostat.model_export.trees.tree_graph import add_positions


def add_prepared(graph: Graph, steps: Any, columns: Sequence[Column], rows: pd.DataFrame) -> tuple[str, int]:
    """Add the steps; returns the prepared matrix, float64 [N, width], and its width.

    Raises NotColumnwise, and ExportRefused for steps of a text that have no form in ONNX.
    """
    split = split_texts(steps, columns)
    prepare = Preparation(split.others, columns, rows, Ensemble(()))
    first = next(place for place, column in enumerate(columns) if column.feature.type != "text")
    plain = prepare.of(first, [rows[columns[first].source].iloc[0]])[0]
    taken = np.zeros(len(plain), dtype=bool)
    blocks: list[str] = []
    order: list[int] = []
    for raw, column in enumerate(columns):
        if column.feature.type == "text":
            continue
        table = None
        line = prepare.line(raw) if prepare.is_number(raw) else None
        if line is None:
            if prepare.is_number(raw) and not prepare.has_categories():
                raise NotColumnwise(f"what the steps make of column {column.source} is no line")
            table = prepare.tabulate(raw)
            made = table.prepared
        else:
            made = np.vstack([line.values, line.missing])
        mine = np.flatnonzero(~same_for_all(made))
        if taken[mine].any():
            raise NotColumnwise(f"prepared column {mine[taken[mine]][0]} depends on several raw columns")
        taken[mine] = True
        if not len(mine):
            continue
        order += mine.tolist()
        if line is not None:
            real = graph.node("Cast", [column.name], to=TensorProto.DOUBLE)
            rise = graph.node(
                "Mul", [_of_number(graph, line.function, real), graph.constant(line.slopes[None, mine])]
            )
            sloped = graph.node("Add", [rise, graph.constant(line.offsets[None, mine])])
            blocks.append(
                graph.node(
                    "Where", [graph.node("IsNaN", [real]), graph.constant(line.missing[:, mine]), sloped]
                )
            )
        elif table is not None:
            positions = add_positions(graph, column, table.table)
            blocks.append(graph.node("Gather", [graph.constant(made[:, mine]), positions], axis=0))
    if not blocks and not split.texts:
        raise NotColumnwise("the steps make the same of all rows")
    rest = np.flatnonzero(~taken)
    if len(rest):
        blocks.append(_repeated(graph, plain[rest], columns[first]))
        order += rest.tolist()
    if split.texts:
        order = [split.places[place] for place in order]
    for branch in split.texts:
        blocks.append(add_text_branch(graph, branch))
        order += branch.places
    side = blocks[0] if len(blocks) == 1 else graph.node("Concat", blocks, axis=1)
    places = graph.constant(np.argsort(order).astype(np.int64), "order")
    return graph.node("Gather", [side, places], axis=1), len(order)


def _of_number(graph: Graph, name: str, real: str) -> str:
    """A function of `FUNCTIONS` of a float64 tensor."""
    if name == "log1p":
        return graph.node("Log", [graph.node("Add", [real, graph.constant(np.array(1.0))])])
    if name == "square":
        return graph.node("Mul", [real, real])
    return real if name == "identity" else graph.node({"log": "Log", "sqrt": "Sqrt"}[name], [real])


def _repeated(graph: Graph, values: Floats, column: Column) -> str:
    """The same values for every row, [N, values]."""
    count = graph.node(
        "Gather", [graph.node("Shape", [column.name]), graph.constant(np.array([0], dtype=np.int64))]
    )
    shape = graph.node("Concat", [count, graph.constant(np.array([len(values)], dtype=np.int64))], axis=0)
    return graph.node("Expand", [graph.constant(values[None, :]), shape])
