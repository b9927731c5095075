from __future__ import annotations

import doctest

import numpy as np
import pytest

from services.drift.stream.cells import number_cells
from services.drift.stream.cells.number_cells import number_cells as cells_of
from services.drift.stream.tiles import ABOVE, BELOW, INFINITE, MISSING


def test_docstring_example() -> None:
    results = doctest.testmod(number_cells)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("shape", ["normal", "cauchy", "large", "lognormal"])
def test_bins_have_about_equal_shares_whatever_the_shape(shape: str) -> None:
    random = np.random.default_rng(7)
    values = {
        "normal": random.normal(size=20_000),
        "cauchy": random.standard_cauchy(20_000),
        "large": 1.7e9 + random.normal(0, 30, 20_000),
        "lognormal": random.lognormal(0, 2, 20_000),
    }[shape]
    cells = cells_of(values)
    counts = cells.count(values)[:64]
    assert cells.bins == 64
    assert counts.sum() == 20_000
    assert counts.min() / (20_000 / 64) > 0.4
    assert counts.max() / (20_000 / 64) < 1.6


def test_cells_are_in_the_order_of_the_values() -> None:
    random = np.random.default_rng(7)
    cells = cells_of(random.standard_cauchy(5_000))
    found = cells.cells(np.sort(random.standard_cauchy(5_000))).astype(int)
    inside = found[(found != BELOW) & (found != ABOVE)]
    assert (np.diff(inside) >= 0).all()


def test_few_values_have_a_cell_each() -> None:
    cells = cells_of(np.repeat([0.0, 1.0, 5.0], [900, 50, 50]))
    assert cells.bins == 3
    assert cells.cells(np.array([0.0, 1.0, 5.0])).tolist() == [0, 1, 2]


def test_range_is_that_of_the_reference_and_of_the_feature() -> None:
    values = np.linspace(0, 100, 1_000)
    assert cells_of(values).cells(np.array([-40.0, 140.0, -60.0, 160.0])).tolist() == [0, 63, BELOW, ABOVE]
    assert cells_of(values, 0.0, 101.0).cells(np.array([-2.0, 103.0])).tolist() == [BELOW, ABOVE]


def test_missing_and_infinite_values_have_cells_of_their_own() -> None:
    cells = cells_of(np.arange(100.0))
    assert cells.cells(np.array([np.nan, np.inf, -np.inf, 1e300])).tolist() == [
        MISSING,
        INFINITE,
        INFINITE,
        INFINITE,
    ]


def test_any_other_value_of_a_constant_column_is_out_of_range() -> None:
    assert cells_of(np.full(100, 7.0)).cells(np.array([7.0, 6.9, 7.1])).tolist() == [0, BELOW, ABOVE]


def test_reference_without_values_takes_all_numbers() -> None:
    assert cells_of(np.full(9, np.nan)).cells(np.array([-5.0, 3.0, np.nan])).tolist() == [0, 0, MISSING]
