from __future__ import annotations

import numpy as np
import pytest

from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.broken_values import BrokenValues, broken_values
from services.drift.stream.statistics.scores import scores_of
from tests.unit.services.drift.stream.streams import reference, table, tiles

NUMBERS = 3


@pytest.fixture(scope="module")
def layout() -> TileLayout:
    return TileLayout.of(reference(5_000, 1, numbers=NUMBERS))


@pytest.fixture(scope="module")
def broken(layout: TileLayout) -> BrokenValues:
    scores = scores_of(layout, layout.count(layout.reference.rows).counts)
    return broken_values(layout, scores, np.ones(scores.columns.size))


def run(
    layout: TileLayout, broken: BrokenValues, rows: int = 100, **changed: object
) -> tuple[np.ndarray, ...]:
    state = broken.begin()
    for tile in tiles(layout, table(rows, 4, numbers=NUMBERS, changed=changed)):
        found = broken.step(state, tile.counts, tile.start)
    return found


def normal(place: int, rows: int = 100) -> np.ndarray:
    return np.random.default_rng(9).normal(10 * place, 1 + place, rows)


def test_rows_of_the_reference_give_no_evidence(layout: TileLayout, broken: BrokenValues) -> None:
    units, swaps, frozen = run(layout, broken, 2_000)
    assert max(units.max(), swaps.max(), frozen.max()) < 8


@pytest.mark.parametrize("factor", [1 / 1000, 3.28084, 1000])
def test_changed_units_are_found_in_two_tiles(
    layout: TileLayout, broken: BrokenValues, factor: float
) -> None:
    units, _, _ = run(layout, broken, x1=normal(1) * factor)
    assert units[1] > 25
    assert np.delete(units, 1).max() < 5


def test_shift_is_not_taken_for_changed_units(layout: TileLayout, broken: BrokenValues) -> None:
    units, swaps, _ = run(layout, broken, x0=normal(0) + 1.0)
    assert units[0] == 0
    assert swaps.max() == 0


def test_swapped_columns_are_found_in_two_tiles(layout: TileLayout, broken: BrokenValues) -> None:
    _, swaps, _ = run(layout, broken, x1=normal(2), x2=normal(1))
    assert swaps[1, 2] == swaps[2, 1] > 100
    assert swaps[0].max() == 0


def test_one_column_like_another_is_no_swap(layout: TileLayout, broken: BrokenValues) -> None:
    _, swaps, _ = run(layout, broken, x1=normal(2))
    assert swaps.max() == 0


def test_frozen_column_is_found(layout: TileLayout, broken: BrokenValues) -> None:
    _, _, frozen = run(layout, broken, x1=np.full(100, 10.2))
    assert frozen[1] > 150
    assert np.delete(frozen, 1).max() == 0
