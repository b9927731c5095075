from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from services.drift.stream.stream_profile import StreamProfile, tile_length
from tests.unit.services.drift.stream.streams import reference


def test_tile_holds_about_fifty_rows_and_at_most_a_tenth_of_the_window() -> None:
    drawn = reference(2_000, 1, numbers=1)
    assert tile_length(drawn, timedelta(days=1)) == timedelta(seconds=50)
    assert tile_length(drawn, timedelta(seconds=100)) == timedelta(seconds=10)
    assert tile_length(drawn, timedelta(seconds=2)) == timedelta(seconds=1)


def test_profile_is_the_same_for_the_same_reference() -> None:
    first, second = (StreamProfile.of(reference(2_000, 1, numbers=2, categories=1), 1.0) for _ in range(2))
    assert first.thresholds == second.thresholds
    assert first.reference.tolist() == second.reference.tolist()


def test_statistics_of_each_column_are_counted() -> None:
    profile = StreamProfile.of(reference(2_000, 1, numbers=2, categories=1), 1.0)
    assert profile.statistics_per_column.tolist() == [12, 12, 3, 12]
    assert profile.of_signal("prediction").tolist() == [False, False, False, True]
    assert profile.hold == timedelta(days=1)


def test_larger_budget_lowers_the_thresholds() -> None:
    drawn = reference(2_000, 1, numbers=2)
    rare, frequent = (StreamProfile.of(drawn, budget).thresholds for budget in (1.0, 30.0))
    assert rare.feature - frequent.feature == pytest.approx(np.log(30), rel=0.2)
