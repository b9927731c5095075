from __future__ import annotations

import numpy as np
import pytest

from homeostat.model_export.trees.ensemble import (
    CategoryTable,
    Ensemble,
    Node,
    for_rounded_numbers,
    left_positions,
    rounded_threshold,
    scaled,
)

CLOSE = np.array([0.1, 0.1 + 1e-7, 0.2])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "threshold",
    # Two are one step of float64 from a value, and the same number as that value in float32.
    [0.05, 0.1, np.nextafter(0.1, 1), 0.1 + 3e-8, np.nextafter(0.1 + 1e-7, 0), 0.1 + 1e-7, 0.15, 0.2, 0.3],
)
def test_rounded_values_stay_on_their_side(threshold: float, strict: bool) -> None:
    moved = rounded_threshold(threshold, CLOSE, strict=strict)
    served = CLOSE.astype(np.float32).astype(np.float64)
    assert float(np.float32(moved)) == moved
    before, after = (threshold > CLOSE, served < moved) if strict else (threshold >= CLOSE, served <= moved)
    assert before.tolist() == after.tolist()


def test_values_equal_in_float32_get_the_same_leaf() -> None:
    same = np.array([1.0, 1.0 + 1e-12])
    assert rounded_threshold(1.0, same, strict=False) == 1.0


def test_only_numbers_that_are_rounded_are_moved() -> None:
    tree = (
        Node(column=0, threshold=0.1, left=1, right=2),
        Node(value=1),
        Node(column=1, threshold=0.1, left=3, right=4),
        Node(value=2),
        Node(value=3),
    )
    moved = for_rounded_numbers(Ensemble((tree,)), {1: CLOSE})
    assert [node.threshold for node in moved.trees[0] if node.column >= 0] == [0.1, float(np.float32(0.1))]
    exact = Ensemble((tree,), float32=True)
    assert for_rounded_numbers(exact, {1: CLOSE}) is exact


def test_codes_without_a_category_are_left_out() -> None:
    table = CategoryTable(("a", "b"))
    assert left_positions(table, frozenset({1, 7}), unseen_left=True, missing_left=False) == {1, 2}
    assert left_positions(table, frozenset(), unseen_left=False, missing_left=True) == {3}


def test_only_leaves_are_scaled() -> None:
    tree = (Node(column=0, threshold=4, left=1, right=2), Node(value=1), Node(value=-2))
    assert scaled(tree, -0.5) == (tree[0], Node(value=-0.5), Node(value=1))
