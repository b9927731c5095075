from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from services.drift.stream.calibration.reference_series import reference_series
from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.scores import scores_of
from tests.unit.services.drift.stream.streams import reference


def test_series_adds_up_to_the_whole_reference() -> None:
    layout = TileLayout.of(reference(1_000, 1, numbers=2, categories=1))
    counts = layout.count(layout.reference.rows).counts
    scores = scores_of(layout, counts)
    series = reference_series(layout, scores, timedelta(seconds=50))
    assert series.tiles in (20, 21)
    sums, rows = scores.sums(counts)
    assert series.sums.sum(axis=0) == pytest.approx(sums)
    assert series.rows.sum(axis=0).tolist() == rows.tolist()
    assert (np.diff(series.middle) == 50_000_000).all()
    assert np.bincount(series.tile_of).tolist() == series.rows[:, 0].tolist()
