from __future__ import annotations

import numpy as np
import pytest

from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.scores import Scores, log_moments, scores_of
from tests.unit.services.drift.stream.streams import reference


@pytest.fixture(scope="module")
def layout() -> TileLayout:
    return TileLayout.of(reference(20_000, 1, numbers=2, categories=1))


@pytest.fixture(scope="module")
def scores(layout: TileLayout) -> Scores:
    return scores_of(layout, layout.count(layout.reference.rows).counts)


def test_scores_of_the_reference_have_mean_zero_and_variance_one(layout: TileLayout, scores: Scores) -> None:
    assert scores.columns.tolist() == [0, 1, 3]
    mean = np.einsum("ckb,cb->ck", scores.values, scores.shares)
    variance = np.einsum("ckb,cb->ck", scores.values**2, scores.shares)
    assert np.abs(mean).max() < 1e-9
    assert np.abs(variance - 1).max() < 1e-9
    assert scores.usable.all()


def test_mean_location_is_the_shift_in_standard_deviations(layout: TileLayout, scores: Scores) -> None:
    cells = layout.columns[1].cells
    random = np.random.default_rng(3)
    for shift in (0.1, 0.5):
        counts = np.zeros((4, 70), np.int32)
        counts[1] = cells.count(random.normal(10, 2, 100_000) + 2 * shift)
        sums, rows = scores.sums(counts)
        assert sums[1, 0] / rows[1] == pytest.approx(shift, abs=0.03)


def test_spread_score_rises_with_the_spread_and_location_does_not(layout: TileLayout, scores: Scores) -> None:
    cells = layout.columns[1].cells
    counts = np.zeros((4, 70), np.int32)
    counts[1] = cells.count(10 + 3 * np.random.default_rng(3).normal(size=100_000))
    sums, rows = scores.sums(counts)
    location, spread = sums[1] / rows[1]
    assert abs(location) < 0.05
    assert spread > 0.5


def test_log_moments_are_those_of_a_normal_for_small_tilts(scores: Scores) -> None:
    tilt = np.array([0.1, -0.1])
    assert log_moments(scores, tilt)[:, 0] == pytest.approx(np.full((3, 2), 0.005), rel=0.01)


def test_constant_column_has_no_usable_score() -> None:
    layout = TileLayout.of(reference(200, 1, numbers=1))
    counts = layout.count(layout.reference.rows).counts.copy()
    counts[0] = 0
    counts[0, 7] = 200
    assert not scores_of(layout, counts).usable[0].any()
