from __future__ import annotations

import doctest

import pyarrow as pa

from services.drift.stream.cells import category_cells
from services.drift.stream.cells.category_cells import category_cells as cells_of
from services.drift.stream.tiles import MISSING, NEW


def test_docstring_example() -> None:
    results = doctest.testmod(category_cells)
    assert results.attempted > 0
    assert results.failed == 0


def test_frequent_values_have_cells_of_their_own_and_rare_ones_share() -> None:
    reference = pa.array(["a"] * 500 + ["b"] * 400 + [f"v{level}" for level in range(200) for _ in range(3)])
    cells = cells_of(reference)
    assert cells.cells(pa.array(["a", "b"])).tolist() == [0, 1]
    shared = cells.cells(pa.array([f"v{level}" for level in range(200)]))
    assert shared.min() >= 2
    assert shared.max() <= 63
    assert len(set(shared.tolist())) > 50


def test_cells_of_rare_values_do_not_depend_on_their_counts() -> None:
    many = [f"v{level}" for level in range(300)]
    first, second = cells_of(pa.array(many + many[:100])), cells_of(pa.array(many + many[200:]))
    assert first.cells(pa.array(many)).tolist() == second.cells(pa.array(many)).tolist()


def test_listed_value_that_the_reference_lacks_is_not_new() -> None:
    cells = cells_of(pa.array(["a"] * 9), ("a", "b"))
    assert cells.cells(pa.array(["b", "c"])).tolist() == [1, NEW]


def test_values_seen_once_stand_for_unseen_ones_unless_values_are_listed() -> None:
    reference = pa.array(["a"] * 9 + ["b", "c"])
    assert cells_of(reference).unseen.tolist() == [0, 1, 1] + [0] * 61
    assert cells_of(reference, ("a", "b", "c")).unseen.sum() == 0


def test_dictionary_array_counts_like_strings() -> None:
    cells = cells_of(pa.array(["a"] * 9 + ["b"] * 9))
    values = pa.array(["b", None, "a", "x", "b"])
    assert cells.count(values.dictionary_encode()).tolist() == cells.count(values).tolist()
    assert cells.count(values)[[0, 1, NEW, MISSING]].tolist() == [1, 2, 1, 1]
