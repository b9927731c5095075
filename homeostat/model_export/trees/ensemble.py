"""A tree ensemble, whatever library it was fitted with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np

from homeostat.model_export.prediction_kind import Floats

# What LightGBM takes for zero (its kZeroThreshold).
NEARLY = 1e-35
Link = Literal["identity", "sigmoid", "exp", "signed_square", "softmax", "shares"]


@dataclass(frozen=True, slots=True)
class Node:
    """A leaf (`column` is -1), or a split whose rows go to node `left` or `right` of the same tree.

    A number goes left if it is smaller than `threshold` (or equal, unless the ensemble is `strict`), or if it is missing and
    `missing_left`. A category goes left if its position is in `left_positions`: see `CategoryTable`.
    """

    value: float | tuple[float, ...] = 0.0
    column: int = -1
    threshold: float = 0.0
    missing_left: bool = False
    left_positions: frozenset[int] | None = None
    left: int = -1
    right: int = -1


Tree = tuple[Node, ...]


@dataclass(frozen=True)
class CategoryTable:
    """The categories of one column as the trees know them: `keys[p]` has position p.

    An unseen value has the position len(keys), a missing one len(keys) + 1.
    """

    keys: tuple[str, ...] | tuple[int, ...]

    @property
    def unseen(self) -> int:
        """Position of a value that is not among the keys."""
        return len(self.keys)

    @property
    def missing(self) -> int:
        """Position of a missing value."""
        return len(self.keys) + 1


@dataclass(frozen=True)
class Ensemble:
    """The score is `link(base + sum of the trees' leaves)`.

    `strict`: numbers are compared by < instead of <=. `float32`: the library rounds numbers to float32 before it compares.
    `gaps_are_missing`: what a sparse matrix does not store is missing to the library, not zero.
    `width`: the number of classes, if there are several; a leaf then holds a value per class, or only that of the class whose
    turn its tree is. `categories`: the table of each column that trees split by category. `missing_number`: a number that
    counts as missing in the columns `missing_in` (None: in all), beside NaN.
    """

    trees: tuple[Tree, ...]
    base: float | tuple[float, ...] = 0.0
    width: int = 0
    link: Link = "identity"
    scale: float = 1.0
    strict: bool = False
    float32: bool = False
    gaps_are_missing: bool = False
    categories: dict[int, CategoryTable] | None = None
    missing_number: float | None = None
    missing_in: frozenset[int] | None = None

    def number_is_missing(self, column: int) -> bool:
        """Whether a number of this column counts as missing."""
        return self.missing_number is not None and (self.missing_in is None or column in self.missing_in)

    def tables(self) -> dict[int, CategoryTable]:
        """The table of each column that is a category."""
        return self.categories or {}


def left_positions(
    table: CategoryTable, codes: frozenset[int], *, unseen_left: bool, missing_left: bool
) -> frozenset[int]:
    """Positions that go left: those of `codes`, and unseen and missing values as given."""
    ends = {table.unseen} if unseen_left else set()
    ends |= {table.missing} if missing_left else set()
    return frozenset(code for code in codes if 0 <= code < len(table.keys)) | ends


def for_rounded_numbers(ensemble: Ensemble, values: Mapping[int, Floats]) -> Ensemble:
    """The ensemble for numbers that are rounded from float64 to float32 before they are served.

    `values`: the known values of each column that is rounded, ascending. A threshold is often one of them, or close to one. It is
    rounded too, and moved so that each known value stays on its side, unless float32 does not tell it from the next one. A
    library that rounds to float32 itself needs no change.
    """
    if ensemble.float32:
        return ensemble

    @cache
    def moved(column: int, threshold: float) -> float:
        return rounded_threshold(threshold, values[column], strict=ensemble.strict)

    def rounded(node: Node) -> Node:
        if node.column not in values or node.left_positions is not None:
            return node
        return replace(node, threshold=moved(node.column, node.threshold))

    return replace(ensemble, trees=tuple(tuple(map(rounded, tree)) for tree in ensemble.trees))


def rounded_threshold(threshold: float, values: Floats, *, strict: bool) -> float:
    """The float32 that separates the rounded `values` as `threshold` separates them: x <= threshold, or < if `strict`.

    >>> rounded_threshold(0.1, np.array([0.1, 0.2]), strict=False) == float(np.float32(0.1))
    True
    """
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
        place = int(np.searchsorted(values, threshold, side="left" if strict else "right"))
        below = np.float32(values[place - 1]) if place else np.float32(-np.inf)
        above = np.float32(values[place]) if place < len(values) else np.float32(np.inf)
        if strict and near <= below < above:
            near = np.nextafter(below, np.float32(np.inf))
        elif not strict and below < above <= near:
            near = np.nextafter(above, np.float32(-np.inf))
    return float(near)


def scaled(tree: Tree, factor: float) -> Tree:
    """The tree with every leaf's value multiplied."""
    return tuple(Node(value=_times(node.value, factor)) if node.column < 0 else node for node in tree)


def _times(value: float | tuple[float, ...], factor: float) -> float | tuple[float, ...]:
    return tuple(one * factor for one in value) if isinstance(value, tuple) else value * factor
