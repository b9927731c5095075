"""Trees after preprocessing, rewritten as trees of the raw columns.

Scalers, imputers and encoders compute each of their columns from one raw column. A split of such a column is a split of the raw
one: of a number, at the value where the prepared column crosses the threshold; of a category, by the set of values on the left.
Both are found by asking the fitted steps themselves, in float64, so no converter is needed and no rounding is added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.named_graph import Graph
from homeostat.model_export.pipelines.preparation import NotColumnwise, Preparation, PreparedValues
from homeostat.model_export.pipelines.text_branches import SplitSteps, add_word_numbers, split_texts
from homeostat.model_export.prediction_kind import Floats
from homeostat.model_export.trees.ensemble import Ensemble, Node


@dataclass(frozen=True)
class RawTrees:
    """The ensemble with its splits on the raw columns, and after them on the numbers that `add_words` adds, [N, `words`]."""

    ensemble: Ensemble
    words: int = 0
    add_words: Callable[[Graph], str] | None = None


def through_steps(steps: Any, ensemble: Ensemble, columns: Sequence[Column], rows: pd.DataFrame) -> RawTrees:
    """The trees of the raw columns. Raises NotColumnwise.

    1. Find which raw column each prepared column comes from.   2. Tabulate the categories, and numbers that are encoded.
    3. Find the thresholds of the other numbers.   4. Rewrite the splits. Numbers of words stay what they are.
    """
    split = split_texts(steps, columns)
    add_words = None
    words = _used_words(split, ensemble)
    given = ensemble
    if words:
        ensemble = _renumbered(ensemble, [*split.places, *words])

        def add_words(graph: Graph) -> str:
            return add_word_numbers(graph, split.texts, words, given)

    prepare = Preparation(split.others, columns, rows, ensemble)
    if words and not prepare.is_sparse():
        given = replace(given, gaps_are_missing=False)
    used = sorted({node.column for tree in ensemble.trees for node in tree if node.column >= 0})
    used = [column for column in used if not words or column < len(split.places)]
    sources = prepare.sources(used)
    tables: dict[int, PreparedValues] = {}
    crossings: dict[tuple[int, float], tuple[float, bool]] = {}
    missing: dict[int, Floats] = {}
    never: set[int] = set()
    zeros: dict[int, float] = {}
    for raw in sorted(set(sources.values())):
        mine = [column for column in used if sources[column] == raw]
        splits = [node for tree in ensemble.trees for node in tree if node.column in mine]
        by_category = any(node.left_positions is not None for node in splits)
        if by_category or not prepare.is_number(raw):
            tables[raw] = prepare.tabulate(raw)
            continue
        gaps = prepare.gaps(raw, mine)
        mine = [column for column in mine if column not in gaps.columns]
        if len(gaps.numbers) > 1 or not prepare.is_monotonic(raw, mine):
            tables[raw] = prepare.tabulate(raw)
            continue
        never |= gaps.columns
        if gaps.numbers:
            zeros[raw] = gaps.numbers[0]
        thresholds = sorted({(node.column, node.threshold) for node in splits if node.column in mine})
        if thresholds:
            crossings |= prepare.crossings(raw, thresholds, strict=ensemble.strict)
        if columns[raw].feature.nullable:
            missing[raw] = prepare.of(raw, [None])[0]

    def rewritten(node: Node) -> Node:
        if node.column < 0:
            return node
        if node.column not in sources:
            return _word_split(node, node.column - len(split.places) + len(columns), strict=ensemble.strict)
        raw = sources[node.column]
        if raw in tables:
            left = _left(node, ensemble, tables[raw].prepared[:, node.column])
            return replace(node, column=raw, left_positions=frozenset(np.flatnonzero(left).tolist()))
        gone = node.missing_left
        if raw in missing:
            gone = bool(_left(node, ensemble, missing[raw][[node.column]])[0])
        if node.column in never:
            # Every number goes where a missing one goes.
            return replace(
                node, column=raw, threshold=np.inf if node.missing_left else -np.inf, missing_left=gone
            )
        crossing, rising = crossings[node.column, node.threshold]
        if raw in zeros and gone != node.missing_left:
            raise NotColumnwise(
                f"{zeros[raw]} and a missing {columns[raw].source} are missing in different ways"
            )
        if rising:
            return replace(node, column=raw, threshold=crossing, missing_left=gone)
        # Small values go right.
        return replace(
            node, column=raw, threshold=crossing, missing_left=not gone, left=node.right, right=node.left
        )

    rewritten_ensemble = replace(
        ensemble,
        trees=tuple(tuple(map(rewritten, tree)) for tree in ensemble.trees),
        strict=False,
        float32=False,
        missing_number=_one_number(zeros, columns),
        missing_in=frozenset(zeros),
        categories={raw: values.table for raw, values in tables.items()},
    )
    return RawTrees(rewritten_ensemble, len(words), add_words)


def _one_number(zeros: Mapping[int, float], columns: Sequence[Column]) -> float | None:
    """The number that is missing to the trees of raw columns, as it is served; None if there is none."""
    found = {
        float(np.float32(number)) if columns[raw].feature.type == "number" else number
        for raw, number in zeros.items()
    }
    if len(found) > 1:
        raise NotColumnwise(f"different numbers are missing to the trees: {sorted(found)}")
    return found.pop() if found else None


def _used_words(split: SplitSteps, ensemble: Ensemble) -> list[int]:
    """The prepared columns of words that some tree splits, ascending."""
    words = {place for branch in split.texts for place in branch.places}
    return sorted({node.column for tree in ensemble.trees for node in tree} & words)


def _renumbered(ensemble: Ensemble, order: Sequence[int]) -> Ensemble:
    """The ensemble for a matrix that has these columns of the former, in this order."""
    places = {column: place for place, column in enumerate(order)}
    if any(column not in places for column in ensemble.tables()):
        raise NotColumnwise("a number of a word is split as a category")
    missing_in = ensemble.missing_in
    return replace(
        ensemble,
        trees=tuple(
            tuple(node if node.column < 0 else replace(node, column=places[node.column]) for node in tree)
            for tree in ensemble.trees
        ),
        categories={places[column]: table for column, table in ensemble.tables().items()},
        missing_in=None
        if missing_in is None
        else frozenset(places[column] for column in missing_in if column in places),
    )


def _word_split(node: Node, column: int, *, strict: bool) -> Node:
    """The split of a number of words, by <=."""
    if node.left_positions is not None:
        raise NotColumnwise("a number of a word is split as a category")
    threshold = float(np.nextafter(node.threshold, -np.inf)) if strict else node.threshold
    return replace(node, column=column, threshold=threshold)


def _left(node: Node, ensemble: Ensemble, prepared: Floats) -> npt.NDArray[np.bool_]:
    """Which prepared values go left at the node."""
    if node.left_positions is not None:
        table = ensemble.tables()[node.column]
        places = {float(str(key)): place for place, key in enumerate(table.keys)}
        positions = [
            table.missing if value != value else places.get(value, table.unseen)
            for value in prepared.tolist()
        ]
        return np.array([position in node.left_positions for position in positions])
    below = prepared < node.threshold if ensemble.strict else prepared <= node.threshold
    return np.where(np.isnan(prepared), node.missing_left, below)
