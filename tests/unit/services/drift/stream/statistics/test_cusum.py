from __future__ import annotations

import numpy as np
import pytest

from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.cusum import Cusums, Dependence, independent
from services.drift.stream.statistics.scores import scores_of
from tests.unit.services.drift.stream.streams import reference


@pytest.fixture(scope="module")
def cusums() -> Cusums:
    layout = TileLayout.of(reference(100_000, 1, numbers=1))
    scores = scores_of(layout, layout.count(layout.reference.rows).counts)
    return Cusums(scores, independent(scores), scores.rows)


def evidence(cusums: Cusums, mean: float, tiles: int, rows: float = 50.0) -> np.ndarray:
    state = cusums.begin()
    columns = cusums.scores.columns.size
    for start in range(tiles):
        found = cusums.step(state, np.full((columns, 2), mean * rows), np.full(columns, rows), start)
    return found


def test_evidence_is_the_log_likelihood_ratio_of_the_shift(cusums: Cusums) -> None:
    found = evidence(cusums, 0.3, tiles=4)
    # 200 rows with the mean 0.3: 200 * 0.3²/2 nats for the shift 0.3, and none for a shift down.
    assert found[0, 0, 1, 0] == pytest.approx(9.0, rel=0.02)
    assert found[0, 0, :, 1].tolist() == [0, 0, 0]


def test_small_reference_weakens_the_evidence(cusums: Cusums) -> None:
    small = Cusums(cusums.scores, cusums.dependence, cusums.rows / 500)
    assert evidence(small, 0.3, 4)[0, 0, 1, 0] == pytest.approx(
        evidence(cusums, 0.3, 4)[0, 0, 1, 0] / 2, rel=0.01
    )


def test_correlated_rows_weaken_the_evidence(cusums: Cusums) -> None:
    shape = cusums.scores.usable.shape
    correlated = Cusums(cusums.scores, Dependence(np.full(shape, 5.0), np.full(shape, np.inf)), cusums.rows)
    assert evidence(correlated, 0.3, 4)[0, 0, 1, 0] == pytest.approx(evidence(cusums, 0.3, 4)[0, 0, 1, 0] / 5)


def test_uncertain_variance_weakens_strong_evidence_most(cusums: Cusums) -> None:
    shape = cusums.scores.usable.shape
    uncertain = Cusums(cusums.scores, Dependence(np.ones(shape), np.full(shape, 20.0)), cusums.rows)
    weak, strong = (
        evidence(uncertain, 0.3, tiles)[0, 0, 1, 0] / evidence(cusums, 0.3, tiles)[0, 0, 1, 0]
        for tiles in (1, 20)
    )
    assert strong < weak < 1.05
    assert strong < 0.7


def test_start_is_that_of_the_tile_after_the_last_zero(cusums: Cusums) -> None:
    state = cusums.begin()
    for start, mean in enumerate([-0.4, -0.2, 0.5, 0.5]):
        cusums.step(state, np.full((2, 2), mean * 50), np.full(2, 50.0), start)
    assert state.start[0, 0, 2].tolist() == [2, 3]
    assert state.start[0, 0, 1, 0] == 2


def test_false_alarms_are_rarer_than_the_bound(cusums: Cusums) -> None:
    random = np.random.default_rng(5)
    streams, tiles, limit = 400, 200, 4.0
    state = cusums.begin((streams,))
    crossed = 0
    columns = cusums.scores.columns.size
    for start in range(tiles):
        sums = random.normal(size=(streams, columns, 2)) * 50**0.5
        found = cusums.step(state, sums, np.full((streams, columns), 50.0), start)[:, 0, 0]
        above = found >= limit
        crossed += int(above.sum())
        state.sums[:, 0, 0][above] = 0.0
        state.rows[:, 0, 0][above] = 0.0
    rate = crossed / streams / tiles / found[0].size
    assert 0.05 * np.exp(-limit) < rate < np.exp(-limit)
