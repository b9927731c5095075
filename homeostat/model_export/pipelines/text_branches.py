"""The branches of a ColumnTransformer that read texts, apart from those of the other columns.

Words are counted by the graph; the other columns are prepared without them, so that the steps are not asked for the counts of
a vocabulary each time.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from homeostat.model_export.columns import Column
from homeostat.model_export.named_graph import Graph
from homeostat.model_export.pipelines.preparation import NotColumnwise
from homeostat.model_export.pipelines.skl2onnx_nodes import add_columns, first_line
from homeostat.model_export.text.vectorizers import has_vectorizer
from homeostat.model_export.trees.ensemble import NEARLY, Ensemble
from shared.errors import ExportRefused

_PRECISIONS = (TensorProto.DOUBLE, TensorProto.FLOAT)


@dataclass(frozen=True)
class TextBranch:
    """Fitted steps on the words of one column; `places`: of what they make, times `weight`, among the prepared columns."""

    steps: Any
    column: Column
    places: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class SplitSteps:
    """`others`: the steps without the branches of texts; `places`: of what they make, where there are texts."""

    others: Any
    texts: tuple[TextBranch, ...] = ()
    places: tuple[int, ...] = ()


def split_texts(steps: Any, columns: Sequence[Column]) -> SplitSteps:
    """The branches of texts and the rest. Raises NotColumnwise if texts are read by anything but a branch of their own."""
    texts = {column.source: column for column in columns if column.feature.type == "text"}
    if not texts:
        return SplitSteps(steps)
    transformer = steps
    while hasattr(transformer, "steps"):
        if len(transformer.steps) > 1:
            raise NotColumnwise(f"{type(transformer.steps[1][1]).__name__} takes words of {', '.join(texts)}")
        transformer = transformer.steps[0][1]
    if not hasattr(transformer, "transformers_"):
        raise NotColumnwise(f"{type(transformer).__name__} takes words of {', '.join(texts)}")
    if len(texts) == len(columns):
        raise NotColumnwise("every column is a text")
    names = list(map(str, getattr(transformer, "feature_names_in_", [column.source for column in columns])))
    branches: list[TextBranch] = []
    kept: list[int] = []
    others = copy.copy(transformer)
    others.transformers_ = list(transformer.transformers_)
    for number, (name, step, chosen) in enumerate(transformer.transformers_):
        if isinstance(step, str) and step == "drop":
            continue
        slots = transformer.output_indices_[name]
        places = tuple(range(slots.start, slots.stop))
        read = [names[place] for place in transformer._transformer_to_input_indices[name]]
        if not any(one in texts for one in read):
            kept += places
            continue
        if len(read) > 1 or not has_vectorizer(step):
            raise NotColumnwise(f"the branch {name} mixes words with other columns")
        weight = (transformer.transformer_weights or {}).get(name)
        branches.append(TextBranch(step, texts[read[0]], places, 1.0 if weight is None else float(weight)))
        others.transformers_[number] = (name, "drop", chosen)
    return SplitSteps(others, tuple(branches), tuple(kept))


def add_word_numbers(
    graph: Graph, branches: Sequence[TextBranch], places: Sequence[int], ensemble: Ensemble
) -> str:
    """Add some of the prepared columns as the trees see them, float64 [N, places]; NaN where a number is missing to them.

    `places`: ascending. Raises ExportRefused.
    """
    blocks, order = [], []
    for branch in branches:
        if mine := [place for place in places if place in branch.places]:
            inside = graph.constant(np.array([branch.places.index(place) for place in mine], dtype=np.int64))
            blocks.append(graph.node("Gather", [add_text_branch(graph, branch), inside], axis=1))
            order += mine
    numbers = blocks[0] if len(blocks) == 1 else graph.node("Concat", blocks, axis=1)
    if order != sorted(order):
        numbers = graph.node("Gather", [numbers, graph.constant(np.argsort(order).astype(np.int64))], axis=1)
    if ensemble.float32:
        numbers = graph.node("Cast", [numbers], to=TensorProto.FLOAT)
        numbers = graph.node("Cast", [numbers], to=TensorProto.DOUBLE)
    nothing = graph.constant(np.array(np.nan))
    if ensemble.gaps_are_missing:
        empty = graph.node("Equal", [numbers, graph.constant(np.array(0.0))])
        numbers = graph.node("Where", [empty, nothing, numbers])
    marked = [ensemble.number_is_missing(place) for place in sorted(order)]
    if any(marked):
        distance = graph.node(
            "Abs", [graph.node("Sub", [numbers, graph.constant(np.array(ensemble.missing_number))])]
        )
        near = graph.node("LessOrEqual", [distance, graph.constant(np.array(NEARLY))])
        gone = graph.node("And", [near, graph.constant(np.array([marked]))])
        numbers = graph.node("Where", [gone, nothing, numbers])
    return numbers


def add_text_branch(graph: Graph, branch: TextBranch) -> str:
    """Add what the branch makes of its text, float64 [N, places]. Raises ExportRefused."""
    problems = []
    for real in _PRECISIONS:
        try:
            made = add_columns(
                graph, branch.steps, [branch.column], TensorProto.INT64, real, None, by_name=False
            )
        except ExportRefused:
            raise
        except Exception as error:  # skl2onnx raises its own classes, RuntimeError, ValueError and others
            problems.append(first_line(error))
            continue
        numbers = graph.node("Cast", [made], to=TensorProto.DOUBLE)
        if branch.weight == 1.0:
            return numbers
        return graph.node("Mul", [numbers, graph.constant(np.array(branch.weight))])
    raise ExportRefused(
        f"skl2onnx cannot convert the steps of the text {branch.column.source!r}: {problems[0]}",
        hint="use TfidfVectorizer or CountVectorizer alone, or with TruncatedSVD after it",
    )
