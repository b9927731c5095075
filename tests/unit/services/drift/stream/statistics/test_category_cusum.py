from __future__ import annotations

import numpy as np
import pytest

from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.category_cusum import CategoryCusums, category_cusums
from tests.unit.services.drift.stream.streams import reference


def cusums(levels: int, rows: int) -> CategoryCusums:
    layout = TileLayout.of(reference(rows, 1, numbers=1, categories=1, levels=levels))
    return category_cusums(layout, layout.count(layout.reference.rows).counts)


def counts(random: np.random.Generator, shares: np.ndarray, streams: int = 1) -> np.ndarray:
    found = np.zeros((streams, 3, 70), np.int32)
    found[:, 1, :64] = random.multinomial(50, shares, size=streams)
    return found


def test_changed_shares_give_evidence_and_equal_ones_none() -> None:
    detector = cusums(5, 10_000)
    random = np.random.default_rng(3)
    state = detector.begin((1,))
    for start in range(40):
        found = detector.step(state, counts(random, detector.shares[0]), start)
    assert found.max() < 5
    changed = np.zeros(64)
    changed[:5] = 0.35, 0.35, 0.1, 0.1, 0.1
    for start in range(40, 46):
        found = detector.step(state, counts(random, changed), start)
    assert found.max() > 20
    assert 38 <= state.start[0, 0, int(found.argmax())] <= 41


@pytest.mark.parametrize(("levels", "rows"), [(3, 2_000), (200, 2_000)])
def test_false_alarms_are_rarer_than_the_bound_with_a_small_reference(levels: int, rows: int) -> None:
    crossed, streams, tiles, limit, random = 0, 50, 60, 3.0, np.random.default_rng(3)
    for seed in range(4):
        layout = TileLayout.of(reference(rows, seed, numbers=1, categories=1, levels=levels))
        detector = category_cusums(layout, layout.count(layout.reference.rows).counts)
        places = layout.columns[1].cells.places.astype(int)  # type: ignore[union-attr]
        truth = np.bincount(places[:levels], weights=np.full(levels, 1 / levels), minlength=70)[:64]
        state = detector.begin((streams,))
        for start in range(tiles):
            found = detector.step(state, counts(random, truth / truth.sum(), streams), start)[:, 0]
            crossed += int((found >= limit).sum())
            state.counts[:, 0][found >= limit] = 0.0
    assert crossed / (4 * streams * tiles * 3) < np.exp(-limit)
