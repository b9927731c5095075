from __future__ import annotations

import numpy as np

from services.drift.stream.statistics.bursts import BURSTS, BurstDetectors, burst_counts
from services.drift.stream.tiles import CELLS, MISSING

MISSING_BURST = [name for name, _ in BURSTS].index("missing")


def detectors(missing: int, rows: int, variance: float = 1.0) -> BurstDetectors:
    hits = np.zeros((1, len(BURSTS)))
    hits[0, MISSING_BURST] = missing
    return BurstDetectors(hits, np.full_like(hits, rows), np.full_like(hits, variance))


def tile(missing: int, rows: int = 50) -> np.ndarray:
    counts = np.zeros((1, CELLS), np.int32)
    counts[0, MISSING], counts[0, 3] = missing, rows - missing
    return counts


def test_burst_is_found_in_one_tile() -> None:
    burst = detectors(100, 10_000)
    found = burst.step(burst.begin(), tile(40), 5)
    assert found[0, MISSING_BURST].max() > 60
    assert np.delete(found[0], MISSING_BURST, axis=0).max() == 0


def test_share_of_the_reference_gives_no_evidence() -> None:
    burst, random = detectors(2_000, 10_000), np.random.default_rng(3)
    state = burst.begin()
    highest = max(burst.step(state, tile(random.binomial(50, 0.2)), start).max() for start in range(500))
    assert highest < 8


def test_slow_rise_is_found_in_time() -> None:
    burst, random = detectors(100, 10_000), np.random.default_rng(3)
    state = burst.begin()
    for start in range(40):
        found = burst.step(state, tile(random.binomial(50, 0.04)), start)
    assert found.max() > 20


def test_single_value_that_the_reference_lacks_is_little_evidence() -> None:
    burst = detectors(0, 1_000)
    assert burst.step(burst.begin(), tile(1), 1).max() < 7
    assert burst.step(burst.begin(), tile(25), 1).max() > 60


def test_long_run_variance_weakens_the_evidence() -> None:
    plain, runs = detectors(1_000, 10_000), detectors(1_000, 10_000, variance=10.0)
    ratio = runs.step(runs.begin(), tile(30), 1).max() / plain.step(plain.begin(), tile(30), 1).max()
    assert np.isclose(ratio, 0.1)


def test_burst_counts_add_cells_out_of_range() -> None:
    counts = np.zeros((1, CELLS), np.int32)
    counts[0, [0, 64, 65]] = 5, 2, 3
    hits, rows = burst_counts(counts)
    assert hits[0].tolist() == [0, 0, 0, 0, 5]
    assert rows[0].tolist() == [10] * 5
