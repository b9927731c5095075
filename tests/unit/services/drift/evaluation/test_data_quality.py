from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from services.drift.evaluation import data_quality
from services.drift.evaluation.columns import Column, columns_of
from services.drift.evaluation.data_quality import data_quality_scores
from services.drift.thresholds.calibration import category_baseline, numeric_baseline
from shared.contracts.feature import Feature
from shared.contracts.verdict import Score
from tests.unit.services.drift.world import loop

LOOP = loop()
X, C = columns_of(LOOP)
CHANCE = 1e-4
Floats = npt.NDArray[np.float64]


def numeric(window: Floats, reference: Floats) -> dict[str, Score]:
    baseline = numeric_baseline(reference[~np.isnan(reference)])
    found = data_quality_scores(X, window, reference, baseline, LOOP.drift, window.size, CHANCE)
    return {score.method: score for score in found}


def holes(values: Floats, share: float, seed: int) -> Floats:
    return np.where(np.random.default_rng(seed).random(values.size) < share, np.nan, values)


def normal(rows: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=rows)


def test_sound_data_are_no_fault() -> None:
    assert not any(score.exceeded for score in numeric(normal(1000, 1), normal(5000, 2)).values())


def test_a_rise_of_the_missing_share_is_a_fault() -> None:
    scores = numeric(holes(normal(1000, 1), 0.25, 3), normal(5000, 2))
    assert scores["missing_share"].exceeded


def test_what_was_missing_in_the_reference_is_usual() -> None:
    scores = numeric(holes(normal(1000, 1), 0.25, 3), holes(normal(5000, 2), 0.2, 4))
    assert not scores["missing_share"].exceeded


def test_a_small_window_gets_more_room() -> None:
    large, small = (
        numeric(normal(rows, 1), normal(5000, 2))["missing_share"].threshold for rows in (5000, 100)
    )
    assert 0.1 < large < 0.13
    assert small > 0.2


def test_wholly_missing_is_a_fault_in_the_smallest_window() -> None:
    assert numeric(np.full(20, np.nan), normal(5000, 2))["missing_share"].exceeded


def test_wholly_missing_in_the_reference_too_is_none() -> None:
    assert not numeric(np.full(20, np.nan), np.full(5000, np.nan))["missing_share"].exceeded


def test_values_out_of_range_are_a_fault_beyond_the_share_allowed() -> None:
    values = normal(1000, 1)
    values[:9] = 1000.0
    assert not numeric(values, normal(5000, 2))["out_of_range_share"].exceeded
    values[:40] = -1000.0
    assert numeric(values, normal(5000, 2))["out_of_range_share"].exceeded


def test_tensors_whose_mean_is_out_of_range_are_a_fault() -> None:
    image = Feature(name="image", type="tensor", shape=(2,), minimum=0, maximum=255)
    reference = 100 + normal(5000, 2)
    baseline = numeric_baseline(reference)

    def exceeded(column: Column, window: Floats) -> bool | None:
        found = data_quality_scores(column, window, reference, baseline, LOOP.drift, window.size, CHANCE)
        shares = [score.exceeded for score in found if score.method.startswith("out_of_range_share")]
        return shares[0] if shares else None

    mean = Column("image.mean", image, "numeric", "mean")
    assert exceeded(mean, 100 + normal(1000, 1)) is False
    assert exceeded(mean, 1600 + normal(1000, 1)) is True
    assert exceeded(Column("image.std", image, "numeric", "std"), 1600 + normal(1000, 1)) is None


def test_a_frozen_sensor_is_a_fault() -> None:
    assert numeric(np.full(1000, 0.5), normal(5000, 2))["constant_share"].exceeded


def test_mostly_constant_column_is_no_fault() -> None:
    rain = np.where(np.random.default_rng(1).random(5000) < 0.1, 1.0, 0.0)
    assert "constant_share" not in numeric(np.zeros(1000), rain)


def test_a_sensor_whose_values_last_may_stand_still() -> None:
    # Ten days of one value each: a window of half a day holds one value in the ordinary course of things.
    lasting = np.repeat(normal(10, 1), 1000)
    scores = numeric(np.full(500, float(lasting[0])), lasting)
    assert not scores["constant_share"].exceeded


def test_a_category_outside_the_allowed_values_is_a_fault() -> None:
    reference = np.array(["a", "b"] * 500, dtype=object)
    window = np.array(["a"] * 90 + ["?"] * 10, dtype=object)
    found = data_quality_scores(C, window, reference, category_baseline(reference), LOOP.drift, 100, CHANCE)
    assert {score.method: score.exceeded for score in found} == {
        "missing_share": False,
        "out_of_range_share": True,
    }


def test_a_category_that_serves_unknown_values_has_no_range() -> None:
    served = replace(C, feature=C.feature.model_copy(update={"unknown": "serve"}))
    reference = np.array(["a", "b"] * 500, dtype=object)
    window = np.array(["?"] * 100, dtype=object)
    baseline = category_baseline(reference)
    found = data_quality_scores(served, window, reference, baseline, LOOP.drift, 100, CHANCE)
    assert [score.method for score in found] == ["missing_share"]


def test_an_empty_window_has_no_scores() -> None:
    assert numeric(np.empty(0), normal(100, 1)) == {}


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(data_quality)
    assert (results.failed, results.attempted > 0) == (0, True)
