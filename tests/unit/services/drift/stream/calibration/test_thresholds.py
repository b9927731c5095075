from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from services.drift.stream.calibration.cycles import find_cycles
from services.drift.stream.calibration.reference_series import reference_series
from services.drift.stream.calibration.serial import serial_model
from services.drift.stream.calibration.thresholds import (
    Surrogate,
    effective_categories,
    effective_statistics,
    surrogate,
)
from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.category_cusum import category_cusums
from services.drift.stream.statistics.cusum import Cusums
from services.drift.stream.statistics.scores import scores_of
from services.drift.stream.statistics.sum_statistic import sum_cusum
from tests.unit.services.drift.stream.streams import reference

NUMBERS = 6


@pytest.fixture(scope="module")
def layout() -> TileLayout:
    return TileLayout.of(reference(5_000, 1, numbers=NUMBERS, categories=2))


def drawn(layout: TileLayout) -> Surrogate:
    scores = scores_of(layout, layout.count(layout.reference.rows).counts)
    series = reference_series(layout, scores, timedelta(seconds=50))
    cycles = find_cycles(series)
    serial = serial_model(series, cycles, scores)
    return surrogate(series, Cusums(scores, serial.dependence, scores.rows), serial)


def test_surrogate_tiles_have_the_moments_of_the_scores(layout: TileLayout) -> None:
    source = drawn(layout)
    sums = np.concatenate([source.tile(np.zeros(0))[0] for _ in range(200)])
    assert np.abs(sums.mean(axis=0)).max() < 0.5
    assert np.abs(sums.var(axis=0) / 50 - 1).max() < 0.12
    assert source.errors().std() == pytest.approx(5_000**-0.5, rel=0.1)


def test_statistics_cross_less_often_than_the_bound(layout: TileLayout) -> None:
    source = drawn(layout)
    is_feature = np.arange(NUMBERS + 1) < NUMBERS
    many = sum_cusum(source.location_correlation, source.cusums.dependence.variance[:, 0], 5_000)
    found = effective_statistics(source, many, is_feature)
    assert 0.03 < found.feature / (12 * NUMBERS) < 0.3
    assert 0.03 < found.prediction / 12 < 0.4
    assert 0 < found.many_columns <= 1
    assert found == effective_statistics(drawn(layout), many, is_feature)
    # A signal that lasts long is known less well.
    again = drawn(layout)
    lasting = replace(again, serial=replace(again.serial, decay=np.array([0.9, 0.81])))
    longer = effective_statistics(lasting, many, is_feature)
    assert longer.feature == pytest.approx(1.2 * found.feature)


def test_categories_cross_less_often_than_the_bound(layout: TileLayout) -> None:
    categories = category_cusums(layout, layout.count(layout.reference.rows).counts)
    found = effective_categories(categories, 50.0)
    assert found.shape == (2,)
    assert 0.05 < found.min() <= found.max() < 2
