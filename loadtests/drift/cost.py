"""Cost on one core, 50 columns: counting rows from Arrow, a check of all detectors, and Evidently's preset on the same rows.

Times are processor time of this process, so that other programs on the machine do not count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from loadtests.drift.worlds import MINUTE, START, World
from services.drift.stream.detector import StreamDetector
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream.tiles import Tile
from shared.contracts.lake_schema import FEATURE_PREFIX

WORLD = World("cost", 10_000, numbers=40, levels=(5, 20, 100, 500, 5, 20, 100, 500, 5, 3), tile=1)
BATCH_ROWS, WINDOW_ROWS = 65_536, 1_000
MINIMUM_ROWS_PER_SECOND, MAXIMUM_CHECK_SECONDS, MINIMUM_RATIO = 1e6, 1e-3, 1_000.0


@dataclass(frozen=True)
class CostResult:
    """`ratio`: seconds of `DataDriftPreset` by the seconds to count and check the same 1,000 rows."""

    rows_per_second: float
    check_seconds: float
    window_seconds: float
    preset_seconds: float

    @property
    def ratio(self) -> float:
        """How many times cheaper than the preset."""
        return self.preset_seconds / self.window_seconds


def measure_cost(seed: int = 13) -> CostResult:
    """Medians of several runs; the preset once after a run that warms it."""
    random = np.random.default_rng(seed)
    reference = WORLD.draw_reference(random)
    profile = StreamProfile.of(reference, 1.0, tile=timedelta(minutes=WORLD.tile))
    detector = StreamDetector(profile)
    big, window = (_batch(random, rows) for rows in (BATCH_ROWS, WINDOW_ROWS))
    counting = _median(lambda: profile.layout.count_batch(big), 7)
    counted = profile.layout.count_batch(_batch(random, 50))
    tiles = iter(
        Tile(START + tile * MINUTE, START + (tile + 1) * MINUTE, counted.rows, counted.counts)
        for tile in range(10_000)
    )
    detector.step(next(tiles))
    check = _median(lambda: detector.step(next(tiles)), 200)
    window_count = _median(lambda: profile.layout.count_batch(window), 20)
    return CostResult(BATCH_ROWS / counting, check, window_count + check, _preset_seconds(window, profile))


def _median(action: Callable[[], object], runs: int) -> float:
    seconds = []
    for _ in range(runs):
        began = time.process_time()
        action()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def _batch(random: np.random.Generator, rows: int) -> pa.RecordBatch:
    columns: dict[str, object] = {
        "event_time": pa.array(START + np.arange(rows) * 1_000, pa.timestamp("us", tz="UTC")),
        "score": random.beta(2, 5, rows),
    }
    for place in range(WORLD.numbers):
        columns[f"{FEATURE_PREFIX}x{place}"] = random.standard_normal(rows)
    for place, levels in enumerate(WORLD.levels):
        names = np.array([f"v{level}" for level in range(levels)], dtype=object)
        columns[f"{FEATURE_PREFIX}c{place}"] = pa.array(names[random.integers(0, levels, rows)], pa.string())
    return pa.RecordBatch.from_pydict(columns)


def _preset_seconds(window: pa.RecordBatch, profile: StreamProfile) -> float:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers = [f"x{place}" for place in range(WORLD.numbers)]
    categories = [f"c{place}" for place in range(len(WORLD.levels))]
    names = [*numbers, *categories]
    current = window.to_pandas().rename(columns=lambda name: name.removeprefix(FEATURE_PREFIX))[names]
    import pandas as pd

    before = pd.DataFrame({name: profile.layout.reference.rows.columns[name] for name in names})
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    seconds = []
    for _ in range(2):
        began = time.process_time()
        Report([DataDriftPreset()]).run(
            Dataset.from_pandas(current, data_definition=definition),
            Dataset.from_pandas(before, data_definition=definition),
        )
        seconds.append(time.process_time() - began)
    return min(seconds)
