from __future__ import annotations

import doctest

import numpy as np
import pytest

from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics import broken_values as module
from services.drift.stream.statistics.broken_values import (
    MAXIMUM_PARTNERS,
    BrokenValues,
    broken_values,
    swap_partners,
)
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
    pair = [int(np.flatnonzero(broken.partners[row] == partner)[0]) for row, partner in ((1, 2), (2, 1))]
    assert swaps[1, pair[0]] == swaps[2, pair[1]] > 100
    assert swaps[0].max() == 0


def test_one_column_like_another_is_no_swap(layout: TileLayout, broken: BrokenValues) -> None:
    _, swaps, _ = run(layout, broken, x1=normal(2))
    assert swaps.max() == 0


def test_frozen_column_is_found(layout: TileLayout, broken: BrokenValues) -> None:
    _, _, frozen = run(layout, broken, x1=np.full(100, 10.2))
    assert frozen[1] > 150
    assert np.delete(frozen, 1).max() == 0


def test_docstring_examples() -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("columns", [0, 1, 2, 33, 34, 400])
def test_partners_are_mutual_near_and_bounded(columns: int) -> None:
    random = np.random.default_rng(5)
    centres = random.permutation(columns).astype(float)
    partners, mirror = swap_partners([np.array([centre]) for centre in centres])
    assert partners.shape[0] == columns
    assert partners.shape[1] <= MAXIMUM_PARTNERS
    for row, slot in np.argwhere(partners >= 0):
        other = partners[row, slot]
        assert other != row
        assert partners[other, mirror[row, slot]] == row
        assert columns <= MAXIMUM_PARTNERS + 1 or abs(centres[row] - centres[other]) <= MAXIMUM_PARTNERS // 2
    if 0 < columns <= MAXIMUM_PARTNERS + 1:
        assert (partners >= 0).sum() == columns * (columns - 1), "few columns: every pair"


def test_four_hundred_columns_need_no_more_than_their_number() -> None:
    """All pairs would take 84 MB of log ratios, 2.6 MB of state, and the counting of 160,000 columns."""
    layout = TileLayout.of(reference(1_000, 1, numbers=400))
    scores = scores_of(layout, layout.count(layout.reference.rows).counts)
    broken = broken_values(layout, scores, np.ones(scores.columns.size))
    assert broken.swaps.nbytes <= 401 * MAXIMUM_PARTNERS * 66 * 8
    state = broken.begin()
    assert state.swaps.nbytes <= 401 * MAXIMUM_PARTNERS * 8
    swapped = {"x3": normal(8), "x8": normal(3)}
    for tile in tiles(layout, table(100, 4, numbers=400, changed=swapped)):
        _, swaps, _ = broken.step(state, tile.counts, tile.start)
    found = {int(broken.partners[row, slot]) for row, slot in np.argwhere(swaps > 50)}
    assert found == {3, 8}
    broken.reset(state, np.arange(401) == 3)
    assert state.swaps[3].max() == 0
    assert state.swaps[8][broken.partners[8] == 3].tolist() == [0.0]
