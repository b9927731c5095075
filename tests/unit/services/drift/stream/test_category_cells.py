from __future__ import annotations

import doctest

import pyarrow as pa

from services.drift.stream import category_cells
from services.drift.stream.category_cells import category_cells as cells_of
from services.drift.stream.tiles import MISSING, NEW, OTHER


def test_docstring_example() -> None:
    results = doctest.testmod(category_cells)
    assert results.attempted > 0
    assert results.failed == 0


def test_most_frequent_of_many_categories_have_cells() -> None:
    reference = pa.array([f"v{level}" for level in range(200) for _ in range(210 - level)])
    cells = cells_of(reference)
    assert cells.bins == 64
    assert cells.cells(pa.array(["v0", "v62", "v63", "v199", "v200"])).tolist() == [0, 62, OTHER, OTHER, NEW]


def test_listed_value_that_the_reference_lacks_is_not_new() -> None:
    cells = cells_of(pa.array(["a"] * 9), ("a", "b"))
    assert cells.cells(pa.array(["b", "c"])).tolist() == [OTHER, NEW]


def test_dictionary_array_counts_like_strings() -> None:
    cells = cells_of(pa.array(["a"] * 9 + ["b"] * 9))
    values = pa.array(["b", None, "a", "x", "b"])
    assert cells.count(values.dictionary_encode()).tolist() == cells.count(values).tolist()
    assert cells.count(values)[[0, 1, NEW, MISSING]].tolist() == [1, 2, 1, 1]
