"""The short form of `make bench-drift`: false alarms, delays, blame and faults of the stream detectors, on simulated streams."""

from __future__ import annotations

import pytest

from loadtests.drift.budget import measure_budget
from loadtests.drift.delays import MAXIMUM_ROWS, measure_delays, measure_power
from loadtests.drift.faults import measure_faults
from loadtests.drift.worlds import WORLDS

BY_NAME = {world.name: world for world in WORLDS}


@pytest.mark.parametrize(
    "name",
    ["independent, reference 1,000", "correlated columns 0.9", "categories, Zipf's law, reference 2,000"],
)
def test_false_alarms_stay_near_the_budget(name: str) -> None:
    # Four or five false alarms are stated for these tiles; more than twelve have a probability below 0.2 %.
    found = measure_budget(BY_NAME[name], references=2, streams=48, tiles=200)
    assert found.tiles == 19_200
    assert found.alarms <= 12


def test_uncalibrated_thresholds_break_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.drift.stream.calibration.thresholds.SAFETY", 0.02)
    found = measure_budget(BY_NAME["independent, reference 1,000"], references=1, streams=48, tiles=200)
    assert found.alarms > 30


def test_one_shifted_column_is_found_blamed_and_dated() -> None:
    found = measure_delays(0.5, runs=16, references=1)
    assert found.rows <= MAXIMUM_ROWS[0.5]
    assert found.found == found.top_right == 1
    assert found.false_discoveries <= 0.05
    assert found.onset_near >= 0.8
    assert found.early == 0


def test_many_small_shifts_are_found_in_a_thousand_rows() -> None:
    found = measure_power(windows=50)
    assert found.power >= 0.96
    assert found.false_alarms <= 0.04


def test_six_kinds_of_broken_data_are_faults() -> None:
    results = measure_faults(runs=8)
    assert len(results) == 6
    assert [result.fault for result in results if not result.holds] == []
